"""What a value is held against, compiled to checks.

Text compares without regard to case; `*` stands for any characters and `?` for one. `>= 200`, `> 200`, `<= 200`,
`< 200` and `200..5000` compare numbers, also those that a form sent as text. Of a value that is a list, one item is
enough. An instant is text in the form of ISO 8601; without an offset it is in UTC, and a day is its beginning.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.agreement.model import Bound, Check, Plain
from shared.business_calendar import BusinessCalendar
from shared.durations import parse_duration

Test = Callable[[Any], bool]
TimedTest = Callable[[Any, datetime | None], bool]  # of a value, and of the instant at which it was so

_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)")
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ].+)?")
_LONGEST_INSTANT = 40  # characters; what is longer is no instant
_REMEMBERED_DAYS = 4_000  # of a calendar
_DAY = timedelta(days=1)
_BOUNDS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    ("at_least", operator.ge),
    ("above", operator.gt),
    ("at_most", operator.le),
    ("below", operator.lt),
)


def compile_patterns(patterns: Sequence[Plain]) -> Test:
    """Return a check that holds for a value that matches any of the patterns."""
    exact = frozenset(
        pattern.casefold() for pattern in patterns if isinstance(pattern, str) and not _is_special(pattern)
    )
    tests = [_special(pattern) for pattern in patterns if not isinstance(pattern, str) or _is_special(pattern)]

    def test_one(value: Any) -> bool:
        if isinstance(value, str):
            if value.casefold() in exact:
                return True
        elif exact and isinstance(value, (int, float)) and not isinstance(value, bool) and _text(value) in exact:
            return True
        return any(test(value) for test in tests)

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(test_one(item) for item in value)
        return value is not None and test_one(value)

    return test


def lookup(values: Mapping[str, Any], path: str) -> Any:
    """Return the value under the path, None where there is none. A key that contains dots wins over nesting."""
    value = values.get(path)
    if value is not None or "." not in path:
        return value
    head, _, rest = path.partition(".")
    inner = values.get(head)
    return lookup(inner, rest) if isinstance(inner, dict) else None


def _is_special(text: str) -> bool:
    return "*" in text or "?" in text or bool(_COMPARISON.fullmatch(text) or _RANGE.fullmatch(text))


def _special(pattern: Plain) -> Test:
    if isinstance(pattern, bool):
        return lambda value: (
            value is pattern or (isinstance(value, str) and value.casefold() == str(pattern).casefold())
        )
    if isinstance(pattern, (int, float)):
        return lambda value: _number(value) == pattern
    if comparison := _COMPARISON.fullmatch(pattern):
        return _comparison(comparison[1], float(comparison[2]))
    if bounds := _RANGE.fullmatch(pattern):
        low, high = float(bounds[1]), float(bounds[2])
        return lambda value: (number := _number(value)) is not None and low <= number <= high
    return _glob(pattern.casefold())


def _comparison(sign: str, bound: float) -> Test:
    def compare(value: Any) -> bool:
        number = _number(value)
        if number is None:
            return False
        match sign:
            case ">=":
                return number >= bound
            case "<=":
                return number <= bound
            case ">":
                return number > bound
            case _:
                return number < bound

    return compare


def _glob(pattern: str) -> Test:
    stem = pattern[:-1]
    if pattern.endswith("*") and "*" not in stem and "?" not in stem:
        return lambda value: (text := _text(value)) is not None and text.startswith(stem)
    # No repeat can be re-read another way once what follows it was found, so hostile text costs no more than its length
    # times the pattern's.
    parts = [re.escape(part).replace(r"\?", ".") for part in re.sub(r"\*+", "*", pattern).split("*")]
    body = parts[0] + "".join(f"(?>.*?{part})" for part in parts[1:-1])
    if len(parts) > 1:
        body += f".*{parts[-1]}"
    matches = re.compile(body, re.DOTALL).fullmatch
    return lambda value: (text := _text(value)) is not None and matches(text) is not None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def compile_check(check: Check) -> TimedTest:
    """Return a check of a value, and of the instant at which it was so. Without one nothing is `in_last` or `in_next`.

    Of a list one item has to be within all the bounds. There is nothing where the value is missing, or an empty text
    or list.
    """
    tests = _item_tests(check)
    refused = compile_patterns(check.none_of) if check.none_of else None

    def test(value: Any, at: datetime | None) -> bool:
        if check.exists is not None and exists(value) is not check.exists:
            return False
        if refused is not None and refused(value):
            return False
        if not tests:
            return True
        items = value if isinstance(value, list) else (value,)
        return any(all(test(item, at) for test in tests) for item in items)

    return test


def exists(value: Any) -> bool:
    """Tell whether there is a value: not nothing, and no empty text or list."""
    return value is not None and value not in ("", [], {})


def instant_of(value: Any) -> datetime | None:
    """Return the instant that the value is; None when it is none."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value) > _LONGEST_INSTANT or not _INSTANT.fullmatch(value):
        return None
    try:
        found = datetime.fromisoformat(value)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _item_tests(check: Check) -> list[TimedTest]:
    tests = [_bound(bound, holds) for name, holds in _BOUNDS if (bound := getattr(check, name)) is not None]
    if (since := check.since) is not None:
        tests.append(lambda value, _: (instant := instant_of(value)) is not None and instant >= since)
    if (before := check.before) is not None:
        tests.append(lambda value, _: (instant := instant_of(value)) is not None and instant < before)
    if check.in_last is not None:
        tests.append(_near(-check.in_last, timedelta()))
    if check.in_next is not None:
        tests.append(_near(timedelta(), check.in_next))
    if check.calendar is not None:
        tests.append(_working_time(check.calendar))
    return tests


def _bound(bound: Bound, holds: Callable[[float, float], bool]) -> TimedTest:
    if isinstance(bound, timedelta):
        seconds = bound.total_seconds()
        return lambda value, _: (number := _seconds(value)) is not None and holds(number, seconds)
    return lambda value, _: (number := _number(value)) is not None and holds(number, bound)


def _near(least: timedelta, most: timedelta) -> TimedTest:
    def test(value: Any, at: datetime | None) -> bool:
        instant = instant_of(value)
        return instant is not None and at is not None and least <= instant - at <= most

    return test


def _working_time(calendar: BusinessCalendar) -> TimedTest:
    days: dict[date, tuple[tuple[datetime, datetime], ...]] = {}  # what is open on a day in UTC

    def test(value: Any, _: datetime | None) -> bool:
        instant = instant_of(value)
        if instant is None:
            return False
        day = instant.date()
        open_then = days.get(day)
        if open_then is None:
            if len(days) >= _REMEMBERED_DAYS:
                days.clear()
            begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
            try:
                open_then = tuple(calendar.openings(begin, begin + _DAY))
            except OverflowError:  # at the end of all calendars nobody works
                open_then = ()
            days[day] = open_then
        return any(start <= instant < end for start, end in open_then)

    return test


def _seconds(value: Any) -> float | None:
    """Return a number as seconds, or what text such as 1h30m means."""
    number = _number(value)
    if number is None and isinstance(value, str) and len(value) <= _LONGEST_INSTANT:
        try:
            return parse_duration(value).total_seconds()
        except (ValueError, OverflowError):
            return None
    return number
