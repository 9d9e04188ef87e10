"""What changes when one team follows another, in words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from difflib import SequenceMatcher
from typing import Any, Protocol, TypeVar

import msgspec

from services.router.domain.endpoint import Endpoint
from services.router.domain.team import Member, Pool, Rep, Rule, Team
from services.router.domain.team_writing import write_hours, write_rule


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def team_changes(before: Team, after: Team) -> list[str]:
    """Return what changes, each in a line; nothing when the teams say the same. Secrets are not compared."""
    return [
        *_named("rep", before.reps, after.reps, _rep, gone="leaves: what they have not answered goes to others"),
        *_named("pool", before.pools, after.pools, _pool, gone="is gone"),
        *_rules(before.rules, after.rules),
        *_field("default pool", before.default_pool, after.default_pool),
        *_field("hours", write_hours(before.calendar), write_hours(after.calendar)),
        *_named("endpoint", before.endpoints, after.endpoints, _endpoint, gone="is gone"),
    ]


def _named(
    kind: str, before: Sequence[N], after: Sequence[N], changes: Callable[[N, N], Iterable[str]], *, gone: str
) -> list[str]:
    old = {item.name: item for item in before}
    kept = {item.name for item in after}
    lines = []
    for item in after:
        if item.name in old:
            lines += [f"{kind} {item.name}: {change}" for change in changes(old[item.name], item)]
        else:
            lines.append(f"{kind} {item.name} is new")
    return lines + [f"{kind} {name} {gone}" for name in old if name not in kept]


def _rep(before: Rep, after: Rep) -> list[str]:
    return [
        *_field("e-mail", before.email, after.email),
        *_field("capacity", before.capacity, after.capacity),
        *_field("away", before.away, after.away),
        *_field("per_hour", before.per_hour, after.per_hour),
        *_field("per_day", before.per_day, after.per_day),
        *_field("hours", write_hours(before.calendar), write_hours(after.calendar)),
        *_field("time_off", *([f"{off.first} to {off.last}" for off in rep.off] for rep in (before, after))),
    ]


def _pool(before: Pool, after: Pool) -> list[str]:
    old = {member.rep: member for member in before.members}
    kept = {member.rep for member in after.members}
    lines = [change for member in after.members for change in _member(old.get(member.rep), member)]
    lines += [f"{rep} leaves" for rep in old if rep not in kept]
    return [
        *lines,
        *_field("manager", before.manager, after.manager),
        *_field("hours", write_hours(before.calendar), write_hours(after.calendar)),
    ]


def _member(before: Member | None, after: Member) -> list[str]:
    if before is None:
        return [f"{after.rep} joins with weight {after.weight:g}"]
    return _field(f"weight of {after.rep}", before.weight, after.weight)


def _rules(before: Sequence[Rule], after: Sequence[Rule]) -> list[str]:
    """Return the rules that go and come, by the number that each has in its team."""
    old, new = [_written(write_rule(rule)) for rule in before], [_written(write_rule(rule)) for rule in after]
    lines = []
    for what, first, last, first_new, last_new in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            lines += [f"rule {number + 1} is gone: {old[number]}" for number in range(first, last)]
            lines += [f"rule {number + 1} is new: {new[number]}" for number in range(first_new, last_new)]
    return lines


def _endpoint(before: Endpoint, after: Endpoint) -> list[str]:
    """Return which options change, without the values of those that may be secret."""
    shown = {"url", "pools", "reps", "enabled"}
    lines = []
    for option in fields(Endpoint):
        old, new = getattr(before, option.name), getattr(after, option.name)
        if option.name == "secret" or old == new:
            continue
        lines += _field(option.name, old, new) if option.name in shown else [f"{option.name} changes"]
    return lines


def _field(name: str, before: Any, after: Any) -> list[str]:
    return [] if before == after else [f"{name} {_written(before)} → {_written(after)}"]


def _written(value: Any) -> str:
    match value:
        case None | () | []:
            return "none"
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()
