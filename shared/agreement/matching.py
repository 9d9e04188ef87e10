"""Conditions compiled to checks: which rules a touch meets, and which fit rules a contact does.

A condition looks at nothing but what it is given: of a touch at the touch, and never at the clock. So what a touch
counts for does not depend on when it came.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar, assert_never

from shared.agreement.model import Check, Condition, FitRule, Junction, Rule
from shared.agreement.patterns import compile_check, compile_patterns, lookup
from shared.events.touch import Alias, Touch

S = TypeVar("S")
Holds = Callable[[S], bool]
ReadField = Callable[[str], Callable[[S], Any]]
Moment = Callable[[S], datetime]
When = tuple[Condition, ...]

_REMEMBERED = 20_000  # combinations of the fields below whose candidates are kept
_COMMON = frozenset({"type", "name", "path", "source", "kind"})  # fields that few values fill
_JUNCTIONS = frozenset(Junction)


class TouchMatcher:
    """Tells which rules a touch meets.

    Rules are narrowed down once for each combination of type, name, path, source and kind; what is left of a rule
    after that, such as a condition on properties, is checked on every touch.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = [_compile(rule.when, _touch_reader, lambda touch: touch.occurred_at) for rule in rules]
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
        met = [index for index, holds in candidates if holds(touch)]
        return tuple(sorted((*certain, *met))) if met else certain

    def _narrow(self, touch: Touch, key: tuple[str, ...]) -> "tuple[tuple[int, ...], tuple[_Candidate, ...]]":
        certain = []
        candidates = []
        for index, when in enumerate(self._rules):
            left = _settle(when, touch)
            if left is True:
                certain.append(index)
            elif left is not False:
                candidates.append((index, left))
        if len(self._candidates) >= _REMEMBERED:
            self._candidates.clear()
        self._candidates[key] = found = (tuple(certain), tuple(candidates))
        return found


_Candidate = tuple[int, Holds[Touch]]


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a contact. `account` holds the account's traits, and its `domain`."""

    traits: Mapping[str, Any]
    account: Mapping[str, Any]
    aliases: Collection[Alias] = ()


class FitMatcher:
    """Tells which fit rules a contact meets."""

    def __init__(self, rules: Sequence[FitRule]) -> None:
        self._rules = [(rule, compile_for_profile(rule.when)) for rule in rules]

    def match(
        self, traits: Mapping[str, Any], account: Mapping[str, Any], aliases: Collection[Alias] = ()
    ) -> list[FitRule]:
        """Return the rules met, in their order. `account` holds the account's traits, and its `domain`."""
        profile = Profile(traits, account, aliases)
        return [rule for rule, holds in self._rules if holds(profile)]


def compile_for_profile(when: When) -> Holds[Profile]:
    """Return a check of a contact."""
    return _compile_for_profile(when, repr(when))


@lru_cache(maxsize=1_000)
def _compile_for_profile(when: When, written: str) -> Holds[Profile]:  # noqa: ARG001  # true equals 1, written they differ
    return compile_when(when, _profile_reader)


def compile_when(when: When, read_field: ReadField[S], *, moment: Moment[S] | None = None) -> Holds[S]:
    """Return a check that all conditions hold.

    `read_field` returns what reads the field of a subject, and `moment` the instant that `in_last` and `in_next` are
    relative to.
    """
    left = _settle(_compile(when, read_field, moment), None)
    assert callable(left), "nothing is settled as long as nothing is known"
    return left


@dataclass(frozen=True, slots=True)
class _Line(Generic[S]):
    """A line of a `when`, compiled; whether its field is common."""

    holds: Holds[S]
    common: bool

    def settle(self, known: S | None) -> bool | Holds[S]:
        return self.holds(known) if self.common and known is not None else self.holds


@dataclass(frozen=True, slots=True)
class _Joined(Generic[S]):
    """A line of `all`, `any` or `not`, compiled."""

    junction: Junction
    parts: "tuple[tuple[_Line[S] | _Joined[S], ...], ...]"

    def settle(self, known: S | None) -> bool | Holds[S]:
        settled = [_settle(part, known) for part in self.parts]
        left = [holds for holds in settled if not isinstance(holds, bool)]
        match self.junction:
            case Junction.ALL:
                return False if False in settled else _all(left)
            case Junction.ANY:
                return True if True in settled else _any(left)
            case Junction.NOT:
                (only,) = settled
                return not only if isinstance(only, bool) else _not(only)
            case junction:
                assert_never(junction)


def _compile(when: When, read_field: ReadField[S], moment: Moment[S] | None) -> tuple[_Line[S] | _Joined[S], ...]:
    return tuple(
        _Joined(Junction(condition.field), tuple(_compile(part, read_field, moment) for part in condition.of))
        if condition.field in _JUNCTIONS
        else _Line(_compile_line(condition, read_field, moment), condition.field in _COMMON)
        for condition in when
    )


def _compile_line(condition: Condition, read_field: ReadField[S], moment: Moment[S] | None) -> Holds[S]:
    read = read_field(condition.field)
    plain = compile_patterns([pattern for pattern in condition.any_of if not isinstance(pattern, Check)])
    checks = [compile_check(pattern) for pattern in condition.any_of if isinstance(pattern, Check)]
    if not checks:
        return lambda subject: plain(read(subject))

    def holds(subject: S) -> bool:
        value = read(subject)
        if plain(value):
            return True
        at = moment(subject) if moment else None
        return any(check(value, at) for check in checks)

    return holds


def _settle(when: Sequence[_Line[S] | _Joined[S]], known: S | None) -> bool | Holds[S]:
    """Return whether all lines hold as far as the common fields of `known` tell, else what is left to check.

    Nothing is known of None.
    """
    left: list[Holds[S]] = []
    for line in when:
        found = line.settle(known)
        if found is False:
            return False
        if found is not True:
            left.append(found)
    return _all(left)


def _all(parts: list[Holds[S]]) -> bool | Holds[S]:
    if len(parts) == 1:
        return parts[0]
    return (lambda subject: all(holds(subject) for holds in parts)) if parts else True


def _any(parts: list[Holds[S]]) -> bool | Holds[S]:
    if len(parts) == 1:
        return parts[0]
    return (lambda subject: any(holds(subject) for holds in parts)) if parts else False


def _not(part: Holds[S]) -> Holds[S]:
    return lambda subject: not part(subject)


def _touch_reader(name: str) -> Callable[[Touch], Any]:
    head, _, rest = name.partition(".")
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
        case "alias":
            return lambda touch: _aliases(touch.aliases, rest)
        case _:
            return lambda touch: getattr(touch, name)


def _profile_reader(name: str) -> Callable[[Profile], Any]:
    head, _, rest = name.partition(".")
    match head:
        case "account":
            return lambda profile: lookup(profile.account, rest)
        case "alias":
            return lambda profile: _aliases(profile.aliases, rest)
        case _:
            return lambda profile: lookup(profile.traits, rest)


def _aliases(aliases: Collection[Alias], kind: str) -> list[str]:
    return [alias.value for alias in aliases if alias.kind == kind]
