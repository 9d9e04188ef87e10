"""An agreement's values in words, as a person would say them: two that differ are told differently."""

import json
import re
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timedelta
from functools import singledispatch
from typing import Any

from shared.agreement.calendar_reading import DAYS
from shared.agreement.model import Bound, Check, Condition, Junction, Plain
from shared.business_calendar import BusinessCalendar, Shift
from shared.durations import write_duration

# Text that would be taken for something else without quotes: a number, a flag, or several words of a sentence.
_DOUBTFUL = re.compile(
    r"""\s*|\s.*|.*\s|[-+]?[\d.]+(e[-+]?\d+)?|true|false|.*[",():;].*|.*\b(and|or|nor|not)\b.*"""
    r"""|there|missing|(at least|above|at most|below|since|before|in the|within the)\b.*""",
    re.IGNORECASE | re.DOTALL,
)
_BOUNDS = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}


@singledispatch
def say(value: Any) -> str:
    """Return a value in words; nothing is `none`."""
    if is_dataclass(value):
        given = ((field.name, getattr(value, field.name)) for field in fields(value))
        return ", ".join(f"{name.replace('_', ' ')} {say(inner)}" for name, inner in given if inner not in {None, ()})
    return str(value)


@say.register
def _(_value: None) -> str:
    return "none"


@say.register
def _(value: bool) -> str:  # noqa: FBT001  # the value that is said
    return "yes" if value else "no"


@say.register(int)
@say.register(float)
def say_number(value: float) -> str:
    """Return a number without needless digits: 10, 2.5."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


@say.register
def _(value: timedelta) -> str:
    return write_duration(value)


@say.register
def _(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z").removesuffix("T00:00:00Z")


@say.register
def _(value: BusinessCalendar) -> str:
    closed = [f"holidays of {value.holidays}"] if value.holidays else []
    closed += map(str, value.closed)
    return f"{_week(value.week)} in {value.zone}" + (f", but on {' and '.join(closed)}" if closed else "")


@say.register(tuple)
def _(value: tuple[Any, ...]) -> str:
    if value and isinstance(value[0], Condition):
        return say_when(value)
    return ", ".join(map(say, value)) or "none"


def say_when(when: tuple[Condition, ...]) -> str:
    """Return what has to hold: `path is /pricing* or /plans and (title is there or not (name is Demo))`."""
    return " and ".join(_line(condition) for condition in when)


def _week(shifts: tuple[Shift, ...]) -> str:
    """Return shifts as they are written: `mon-fri 09:00-17:00, sat 10:00-12:00`."""
    days: dict[int, list[str]] = {}
    for shift in shifts:
        end = "24:00" if shift.end == time() else f"{shift.end:%H:%M}"
        days.setdefault(shift.day, []).append(f"{shift.start:%H:%M}-{end}")
    runs: list[tuple[list[int], list[str]]] = []  # days in a row with the same hours
    for day, hours in days.items():
        if runs and runs[-1][0][-1] == day - 1 and runs[-1][1] == hours:
            runs[-1][0].append(day)
        else:
            runs.append(([day], hours))
    return ", ".join(
        f"{DAYS[run[0]]}{f'-{DAYS[run[-1]]}' if len(run) > 1 else ''} {' and '.join(hours)}" for run, hours in runs
    )


def _line(condition: Condition) -> str:
    match condition.field:
        case Junction.NOT:
            return f"not ({say_when(condition.of[0])})"
        case Junction.ALL | Junction.ANY as junction:
            parts = [f"({say_when(part)})" if len(part) > 1 else say_when(part) for part in condition.of]
            return f"{junction} of ({'; '.join(parts)})"
        case field:
            return f"{field} is {' or '.join(map(_pattern, condition.any_of))}"


def _pattern(pattern: Plain | Check) -> str:
    return _check(pattern) if isinstance(pattern, Check) else _plain(pattern)


def _plain(value: Plain) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if _DOUBTFUL.fullmatch(value) else value
    return say_number(value)


def _check(check: Check) -> str:
    said = []
    if check.exists is not None:
        said.append("there" if check.exists else "missing")
    if check.none_of:
        said.append(f"not {' nor '.join(map(_plain, check.none_of))}")
    for name, words in _BOUNDS.items():
        bound: Bound | None = getattr(check, name)
        if bound is not None:
            said.append(f"{words} {say(bound)}")
    if check.since:
        said.append(f"since {say(check.since)}")
    if check.before:
        said.append(f"before {say(check.before)}")
    if check.in_last:
        said.append(f"in the {write_duration(check.in_last)} before the touch")
    if check.in_next:
        said.append(f"in the {write_duration(check.in_next)} after the touch")
    if check.hours:
        said.append(f"within the hours of {check.hours}")
    return ", ".join(said)
