"""Who gets a handoff: the rules are tried in order, availability rules reps out, the fair turn picks among the rest.

The decision is a value that lists the rules tried, every candidate and why not, and what the pool owed them before and
after; it is stored with the handoff and shown. Only what a pool shares out counts for its turns: what goes to a rep by
name, or to an owner, is theirs anyway. It fills their capacity and their caps like everything else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from services.router.domain.availability import Blocked, Roster, Why, key_of_member, key_of_pool, key_of_rep
from services.router.domain.routing import Case, owner_of, profile_of
from services.router.domain.team import Hold, Owner, Pool, Rule, Unavailable
from services.router.domain.turn import Share, take_turn


class Outcome(StrEnum):
    """What came of a rule."""

    UNMET = "unmet"  # a condition does not hold
    NO_OWNER = "no_owner"  # nobody of the team owns it
    HOLD_ENDED = "hold_ended"
    UNAVAILABLE = "unavailable"  # nobody that it names can; the rules below were tried
    HELD = "held"
    WAITS = "waits"
    CHOSEN = "chosen"


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One whom a rule would give it to, as the decision saw them. `owed` is explained in `turn`.

    A struct, because each handoff makes one for each member of its pool: a frozen dataclass takes six times as long.
    """

    rep: str
    why: Why
    weight: float
    open: int
    capacity: int
    owed_before: float
    owed_after: float
    until: datetime | None = None  # when they might be able to take one, as far as time alone decides
    note: str = ""
    hour: int = 0  # given within 60 minutes
    per_hour: int | None = None
    day: int = 0  # given within 24 hours
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule, or the default pool (None), and what came of it."""

    rule: int | None  # counts from 0
    outcome: Outcome
    field: str = ""  # of the condition that does not hold
    owner: Owner | None = None
    pool: str | None = None
    rep: str | None = None  # named by the rule, or found as owner
    note: str = ""
    until: datetime | None = None
    candidates: tuple[Candidate, ...] = ()  # where the next rule was tried after all


@dataclass(frozen=True, slots=True)
class Route:
    """The pool and what led to it. `rule` counts from 0; None is the default pool. No pool: it is held."""

    pool: str | None
    rule: int | None
    owner: Owner | None = None
    rep: str | None = None  # named, not by turn


@dataclass(frozen=True, slots=True)
class Decision:
    """Who got the handoff (None: nobody could) and everything that it was decided on."""

    route: Route
    rep: str | None
    team_version: int
    candidates: tuple[Candidate, ...]
    tried: tuple[Tried, ...] = ()
    waits_for: tuple[str, ...] = ()  # pools, members, reps; whichever is free first, it is decided again
    held_until: datetime | None = None
    opens_at: datetime | None = None  # when somebody might be able to take it, as far as time alone decides


Debts = Mapping[str, float]


@dataclass(slots=True)
class _Attempts:
    """What was tried so far."""

    tried: list[Tried] = field(default_factory=list)
    waits_for: list[str] = field(default_factory=list)


def decide(case: Case, roster: Roster, *, owed: Mapping[str, Debts]) -> tuple[Decision, Debts | None] | None:
    """Decide who gets the handoff; None when the team has no pool.

    Returns the decision, and what its pool owes its members afterwards when the pool's turn was taken.
    """
    team, so_far = roster.team, _Attempts()
    if team.default_pool is None:
        return None
    profile = profile_of(case.contact)
    for compiled in roster.rules:
        number, rule = compiled.number, compiled.rule
        field_unmet = compiled.unmet(profile)
        if field_unmet is not None:
            so_far.tried.append(Tried(number, Outcome.UNMET, field=field_unmet))
        elif rule.hold is not None:
            held = _hold(number, rule.hold, case, so_far, roster)
            if held is not None:
                return held, None
        else:
            decided = _offer(number, rule, case, so_far, roster, owed)
            if decided is not None:
                return decided
    raise AssertionError("the default pool always decides")


def choose_in_pool(
    pool: Pool, roster: Roster, *, owed: Debts, excluded: Mapping[str, str] | None = None
) -> tuple[tuple[Candidate, ...], str | None, Debts]:
    """Give one handoff of the pool to whose turn it is: the candidates, who it is, and what the pool owes then.

    `excluded` must not get it, each with the reason.
    """
    blocked = {member.rep: _blocked(member.rep, pool, roster, excluded or {}) for member in pool.members}
    shares = [
        Share(rep=member.rep, weight=member.weight, owed=owed.get(member.rep, 0.0))
        for member in pool.members
        if blocked[member.rep] is None
    ]
    turn = take_turn(shares) if shares else None
    after = {**owed, **turn.owed} if turn else owed
    candidates = tuple(
        _candidate(
            member.rep,
            blocked[member.rep],
            roster,
            chosen=turn is not None and turn.rep == member.rep,
            weight=member.weight,
            owed=(owed.get(member.rep, 0.0), after.get(member.rep, 0.0)),
        )
        for member in pool.members
    )
    return candidates, turn.rep if turn else None, after


def _hold(number: int | None, hold: Hold, case: Case, so_far: _Attempts, roster: Roster) -> Decision | None:
    until = case.arrived_at + hold.duration if hold.duration is not None else None
    if case.released or (until is not None and until <= roster.now):
        so_far.tried.append(Tried(number, Outcome.HOLD_ENDED, note=hold.reason, until=until))
        return None
    so_far.tried.append(Tried(number, Outcome.HELD, note=hold.reason, until=until))
    return Decision(
        route=Route(pool=None, rule=number),
        rep=None,
        team_version=roster.team.version,
        candidates=(),
        tried=tuple(so_far.tried),
        waits_for=tuple(so_far.waits_for),
        held_until=until,
    )


def _offer(
    number: int | None, rule: Rule, case: Case, so_far: _Attempts, roster: Roster, owed: Mapping[str, Debts]
) -> tuple[Decision, Debts | None] | None:
    """Give the handoff to whom the rule names, let it wait for them, or return None: the next rule is tried."""
    team = roster.team
    named = rule.rep if rule.owner is None else owner_of(case, rule.owner, team)
    if rule.owner is not None and named is None:
        so_far.tried.append(Tried(number, Outcome.NO_OWNER, owner=rule.owner))
        return None
    pool = team.pool(rule.pool) if rule.pool else team.pool_of(named or "")
    if pool is None:  # an owner whom the team has, but in no pool
        so_far.tried.append(Tried(number, Outcome.NO_OWNER, owner=rule.owner, rep=named))
        return None
    after: Debts | None = None
    if named is None:
        candidates, chosen, after = choose_in_pool(pool, roster, owed=owed.get(pool.name, {}), excluded=case.excluded)
        keys = _keys(pool, case.excluded)
    else:
        candidates, chosen = _choose_named(named, pool, roster, case.excluded)
        keys = () if named in case.excluded else (key_of_rep(named),)
    so_far.waits_for += keys
    outcome = _outcome(chosen, rule, candidates, named=named is not None)
    falls = outcome is Outcome.UNAVAILABLE
    so_far.tried.append(
        Tried(
            number,
            outcome,
            owner=rule.owner,
            pool=pool.name,
            rep=named,
            candidates=candidates if falls else (),  # of the rule that decides they are the decision's
        )
    )
    if falls:
        return None
    decision = Decision(
        route=Route(pool=pool.name, rule=number, owner=rule.owner, rep=named),
        rep=chosen,
        team_version=team.version,
        candidates=candidates,
        tried=tuple(so_far.tried),
        waits_for=() if chosen else tuple(so_far.waits_for),
        opens_at=None if chosen else _first_opening(so_far.tried, candidates),
    )
    return decision, after if chosen else None


def _keys(pool: Pool, excluded: Mapping[str, str]) -> tuple[str, ...]:
    if excluded.keys().isdisjoint(member.rep for member in pool.members):
        return (key_of_pool(pool.name),)
    return tuple(key_of_member(pool.name, member.rep) for member in pool.members if member.rep not in excluded)


def _outcome(chosen: str | None, rule: Rule, candidates: Sequence[Candidate], *, named: bool) -> Outcome:
    if chosen is not None:
        return Outcome.CHOSEN
    for_ever = named and all(candidate.why is Why.EXCLUDED for candidate in candidates)
    return Outcome.UNAVAILABLE if for_ever or rule.unavailable is Unavailable.NEXT else Outcome.WAITS


def _choose_named(
    rep: str, pool: Pool, roster: Roster, excluded: Mapping[str, str]
) -> tuple[tuple[Candidate, ...], str | None]:
    blocked = _blocked(rep, pool, roster, excluded)
    candidate = _candidate(rep, blocked, roster, chosen=blocked is None, weight=0.0, owed=(0.0, 0.0))
    return (candidate,), rep if blocked is None else None


def _blocked(rep: str, pool: Pool, roster: Roster, excluded: Mapping[str, str]) -> Blocked | None:
    if rep in excluded:
        return Blocked(Why.EXCLUDED, note=excluded[rep])
    return roster.blocked(rep, pool)


def _candidate(
    name: str, blocked: Blocked | None, roster: Roster, *, chosen: bool, weight: float, owed: tuple[float, float]
) -> Candidate:
    rep, (taken, hour, day) = roster.rep(name), roster.counts(name)
    why = blocked.why if blocked else (Why.CHOSEN if chosen else Why.NOT_THEIR_TURN)
    return Candidate(
        rep=name,
        why=why,
        weight=weight,
        open=taken,
        capacity=rep.capacity,
        owed_before=owed[0],
        owed_after=owed[1],
        until=blocked.until if blocked else None,
        note=blocked.note if blocked else "",
        hour=hour,
        per_hour=rep.per_hour,
        day=day,
        per_day=rep.per_day,
    )


def _first_opening(tried: Sequence[Tried], deciding: Sequence[Candidate]) -> datetime | None:
    candidates = [*deciding, *(candidate for rule in tried for candidate in rule.candidates)]
    return min((candidate.until for candidate in candidates if candidate.until is not None), default=None)
