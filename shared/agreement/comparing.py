"""What is different between two agreements, in words: `pricing-viewed: 10 → 15 points`.

Whatever is signed is compared, sections that this file knows nothing of too: then in the names that the file uses.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from shared.agreement.hashing import counting_hash
from shared.agreement.model import Agreement, Condition, FitRule, Rule
from shared.agreement.when_reading import write_when
from shared.agreement.words import say, say_when
from shared.business_calendar import BusinessCalendar

Place = tuple[str, ...]  # names from the section to the value

# What a value is called where its own names would not say it; * is the id of a rule, or a name that people gave.
_CALLED: Mapping[Place, str] = {
    ("half_life",): "half-life",
    ("groups", "*"): "group {0}, cap",
    ("rules", "*"): "rule {0}",
    ("rules", "*", "points"): "{0}",
    ("rules", "*", "when"): "{0}, when",
    ("rules", "*", "group"): "{0}, group",
    ("rules", "*", "per_day"): "{0}, most a day",
    ("rules", "*", "stage"): "{0}, evidence for",
    ("rules", "*", "hand_raise"): "{0}, hand-raise",
    ("fit", "*"): "fit rule {0}",
    ("fit", "*", "points"): "fit, {0}",
    ("fit", "*", "when"): "fit, {0}, when",
    ("fit", "*", "disqualify"): "fit, {0}, disqualifies",
    ("stages", "*"): "evidence for {0} holds",
    ("ready", "engagement"): "ready from engagement",
    ("ready", "fit"): "ready from fit",
    ("ready", "touches"): "ready from touches",
    ("ready", "stage"): "ready from stage",
    ("rearm", "below"): "armed again below engagement",
    ("rearm", "cool_down"): "cool-down",
    ("respond", "hand_raise"): "answer to a hand-raise within",
    ("respond", "standard"): "answer to others within",
    ("respond", "reassign_after"): "reassigned after",
    ("respond", "escalate_after"): "escalated after",
    ("respond", "hours"): "response clock runs in hours",
    ("reject_reasons",): "reject reason",
    ("calendars", "*"): "calendar {0}",
    ("accounts", "ready", "engagement"): "account ready from engagement",
    ("accounts", "ready", "contacts"): "account ready from contacts",
    ("accounts", "ready", "within"): "account ready when they acted within",
    ("accounts", "ready", "roles"): "role that a ready account needs",
    ("accounts", "least"): "engagement that makes a person count for the account",
    ("accounts", "cap"): "most that one person adds to the account",
    ("accounts", "rearm_below"): "account armed again below engagement",
    ("nurture", "every"): "nurture told at most every",
}
_UNITS: Mapping[str, str] = {"points": " points"}  # by the name of the value


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different: where, what it was and is, and all of it in words. None: there is nothing."""

    key: str
    before: str | None
    after: str | None
    words: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is different. `counts_again`: touches have to be counted again, not only priced otherwise."""

    changes: tuple[Change, ...]
    counts_again: bool


def compare(before: Agreement, after: Agreement) -> Comparison:
    """Return what is different, in the order of the file. Without a change the two have the same hash."""
    return Comparison(
        changes=tuple(_changes(before, after, ())), counts_again=counting_hash(before) != counting_hash(after)
    )


def _changes(before: Any, after: Any, at: Place) -> Iterator[Change]:
    if before == after:
        return
    if type(before) is not type(after) or isinstance(before, BusinessCalendar):
        yield _leaf(before, after, at)
    elif is_dataclass(before):
        for field in fields(before):
            yield from _changes(getattr(before, field.name), getattr(after, field.name), (*at, field.name))
    elif isinstance(before, Mapping):
        for name in dict.fromkeys((*before, *after)):
            yield from _one_of(before.get(name), after.get(name), (*at, str(name)))
    elif isinstance(before, tuple):
        yield from _lists(before, after, at)
    else:
        yield _leaf(before, after, at)


def _lists(before: tuple[Any, ...], after: tuple[Any, ...], at: Place) -> Iterator[Change]:
    everything = (*before, *after)
    if all(isinstance(one, Condition) for one in everything):
        if write_when(before) != write_when(after):  # else only a calendar that they name is another
            yield _leaf(before, after, at)
    elif all(hasattr(one, "id") for one in everything):
        then, now = ({one.id: one for one in side} for side in (before, after))
        for name in dict.fromkeys((*then, *now)):
            yield from _one_of(then.get(name), now.get(name), (*at, name))
        yield from _order(list(then), list(now), at)
    else:
        yield from _items(before, after, at)


def _one_of(before: Any, after: Any, at: Place) -> Iterator[Change]:
    """Return the changes of something that has a name of its own, and may be new or gone."""
    called = _called(at)
    if before is None:
        yield Change(_key(at), None, _describe(after), f"new {called}: {_describe(after)}")
    elif after is None:
        yield Change(_key(at), _describe(before), None, f"{called} is gone: {_describe(before)}")
    else:
        yield from _changes(before, after, at)


def _items(before: Sequence[Any], after: Sequence[Any], at: Place) -> Iterator[Change]:
    called = _called(at)
    for item in after:
        if item not in before:
            yield Change(_key(at), None, say(item), f"new {called}: {say(item)}")
    for item in before:
        if item not in after:
            yield Change(_key(at), say(item), None, f"{called} is gone: {say(item)}")
    yield from _order([say(item) for item in before], [say(item) for item in after], at)


def _order(before: list[str], after: list[str], at: Place) -> Iterator[Change]:
    then, now = [name for name in before if name in after], [name for name in after if name in before]
    if then != now:
        said = ", ".join(then), ", ".join(now)
        yield Change(_key(at), *said, f"order of {_key(at).replace('_', ' ')}: {said[0]} → {said[1]}")


def _leaf(before: Any, after: Any, at: Place) -> Change:
    unit = _UNITS.get(at[-1], "")
    return Change(_key(at), say(before), say(after), f"{_called(at)}: {say(before)} → {say(after)}{unit}")


def _called(at: Place) -> str:
    if called := _CALLED.get(at):
        return called
    if len(at) > 1 and (called := _CALLED.get((at[0], "*", *at[2:]))):
        return called.format(at[1])
    return ", ".join(name.replace("_", " ") for name in at)


def _describe(value: Any) -> str:
    match value:
        case Rule():
            parts = [f"{say(value.points)} points in {value.group} when {say_when(value.when)}"]
            parts += [f"at most {value.per_day} a day"] if value.per_day is not None else []
            parts += [f"evidence for {value.stage}"] if value.stage else []
            parts += ["a hand-raise"] if value.hand_raise else []
            return ", ".join(parts)
        case FitRule():
            worth = "disqualifies" if value.disqualify else f"{say(value.points)} points"
            return f"{worth} when {say_when(value.when)}"
        case _:
            return say(value)


def _key(at: Place) -> str:
    return ".".join(at)
