"""Conditions compiled to checks: which rules a touch meets, and which fit rules a contact does.

Text compares without regard to case; `*` stands for any characters and `?` for one. `>= 200`, `> 200`, `<= 200`,
`< 200` and `200..5000` compare numbers, also those that a form sent as text. Of a value that is a list, one item is
enough.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shared.agreement.model import Condition, FitRule, Pattern, Rule
from shared.events.touch import Touch

Test = Callable[[Any], bool]
Read = Callable[[Any], Any]

_REMEMBERED = 20_000  # combinations of the fields below whose candidates are kept
_COMMON = frozenset({"type", "name", "path", "source", "kind"})  # fields that few values fill
_COMPARISON = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)")
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)")


class TouchMatcher:
    """Tells which rules a touch meets.

    Rules are narrowed down once for each combination of type, name, path, source and kind; what is left of a rule
    after that, such as a condition on properties, is checked on every touch.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [
            (
                index,
                [(condition.field, compile_patterns(condition.any_of)) for condition in rule.when
                 if condition.field in _COMMON],
                [(_touch_reader(condition.field), compile_patterns(condition.any_of)) for condition in rule.when
                 if condition.field not in _COMMON],
            )
            for index, rule in enumerate(rules)
        ]  # fmt: skip
        self._candidates: dict[tuple[str, ...], tuple[tuple[int, ...], tuple[_Candidate, ...]]] = {}

    def match(self, touch: Touch) -> tuple[int, ...]:
        """Return the indexes of the rules met, in the order of the rules."""
        key = (touch.type, touch.name, touch.path, touch.source, touch.kind)
        found = self._candidates.get(key)
        if found is None:
            found = self._narrow(touch, key)
        certain, candidates = found
        if not candidates:
            return certain
        met = [index for index, checks in candidates if all(test(read(touch)) for read, test in checks)]
        return tuple(sorted((*certain, *met))) if met else certain

    def _narrow(self, touch: Touch, key: tuple[str, ...]) -> "tuple[tuple[int, ...], tuple[_Candidate, ...]]":
        certain = []
        candidates = []
        for index, common, checks in self._rules:
            if all(test(getattr(touch, field)) for field, test in common):
                if checks:
                    candidates.append((index, tuple(checks)))
                else:
                    certain.append(index)
        if len(self._candidates) >= _REMEMBERED:
            self._candidates.clear()
        self._candidates[key] = found = (tuple(certain), tuple(candidates))
        return found


_Candidate = tuple[int, tuple[tuple[Read, Test], ...]]


class FitMatcher:
    """Tells which fit rules a contact meets."""

    def __init__(self, rules: Sequence[FitRule]) -> None:
        self._rules = [
            (rule, [(_profile_path(condition), compile_patterns(condition.any_of)) for condition in rule.when])
            for rule in rules
        ]

    def match(self, traits: Mapping[str, Any], account: Mapping[str, Any]) -> list[FitRule]:
        """Return the rules met, in their order. `account` holds the account's traits, and its `domain`."""
        sides = {"contact": traits, "account": account}
        return [
            rule
            for rule, checks in self._rules
            if all(test(lookup(sides[side], path)) for (side, path), test in checks)
        ]


def compile_patterns(patterns: Sequence[Pattern]) -> Test:
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


def _special(pattern: Pattern) -> Test:
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


def _touch_reader(field: str) -> Read:
    head, _, rest = field.partition(".")
    match head:
        case "campaign":
            return lambda touch: getattr(touch.campaign, rest) if touch.campaign else None
        case "properties":
            return lambda touch: lookup(touch.properties, rest)
        case "traits" | "contact":
            return lambda touch: lookup(touch.traits, rest)
        case "account" if rest == "domain":
            return lambda touch: touch.account_domain or None
        case "account":
            return lambda touch: lookup(touch.account_traits, rest)
        case _:
            return lambda touch: getattr(touch, field)


def _profile_path(condition: Condition) -> tuple[str, str]:
    head, _, rest = condition.field.partition(".")
    return ("account" if head == "account" else "contact", rest)
