"""Who gets a handoff: rules pick a pool, availability rules reps out, and the fair turn picks among the rest.

The decision is a value that lists every candidate and why not; it is stored with the handoff and shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.router.domain.team import Pool, Rep, Team
from services.router.domain.turn import Share, take_turn
from shared.agreement.matching import Profile, compile_for_profile
from shared.events.handoff import ContactSnapshot


class Why(StrEnum):
    """Why a candidate got the handoff, or did not."""

    CHOSEN = "chosen"
    NOT_THEIR_TURN = "not_their_turn"
    AWAY = "away"
    FULL = "full"  # as many open handoffs as their capacity


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member of the pool, as the decision saw them. `owed` is explained in `turn`."""

    rep: str
    why: Why
    weight: float
    open: int
    capacity: int
    owed_before: float
    owed_after: float


@dataclass(frozen=True, slots=True)
class Route:
    """The pool and what led to it. `rule` counts from 0; None is the default pool."""

    pool: str
    rule: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Who got the handoff (None: nobody could) and everything that it was decided on."""

    route: Route
    rep: str | None
    team_version: int
    candidates: tuple[Candidate, ...]


def choose_pool(team: Team, contact: ContactSnapshot) -> Route | None:
    """Return the pool of the first rule that holds, or the default; None when the team has no pool."""
    account = {**contact.account_traits, "domain": contact.account_domain or None}
    profile = Profile(contact.traits, account, contact.aliases)
    for number, rule in enumerate(team.rules):
        if compile_for_profile(rule.when)(profile):
            return Route(pool=rule.pool, rule=number)
    return Route(pool=team.default_pool, rule=None) if team.default_pool else None


def choose_rep(
    team: Team, route: Route, *, open_handoffs: Mapping[str, int], owed: Mapping[str, float]
) -> tuple[Decision, Mapping[str, float]]:
    """Decide who gets the next handoff of the pool, and return the decision with what the pool owes afterwards.

    `open_handoffs` counts by rep, over all pools.
    """
    pool = team.pool(route.pool)
    assert pool is not None, "a team names no pool that it does not have"
    ruled_out = {
        member.rep: why
        for member in pool.members
        if (why := _ruled_out(team.rep(member.rep), open_handoffs.get(member.rep, 0)))
    }
    shares = [
        Share(rep=member.rep, weight=member.weight, owed=owed.get(member.rep, 0.0))
        for member in pool.members
        if member.rep not in ruled_out
    ]
    turn = take_turn(shares) if shares else None
    after = {**owed, **turn.owed} if turn else owed
    candidates = _candidates(
        team, pool, ruled_out, chosen=turn.rep if turn else None, open_handoffs=open_handoffs, before=owed, after=after
    )
    decision = Decision(route=route, rep=turn.rep if turn else None, team_version=team.version, candidates=candidates)
    return decision, after


def can_take(team: Team, pool: Pool, open_handoffs: Mapping[str, int]) -> bool:
    """Tell whether anybody in the pool is available."""
    return any(not _ruled_out(team.rep(member.rep), open_handoffs.get(member.rep, 0)) for member in pool.members)


def _ruled_out(rep: Rep | None, open_handoffs: int) -> Why | None:
    assert rep is not None, "a team's pools name no rep that it does not have"
    if rep.away:
        return Why.AWAY
    return Why.FULL if open_handoffs >= rep.capacity else None


def _candidates(
    team: Team,
    pool: Pool,
    ruled_out: Mapping[str, Why],
    *,
    chosen: str | None,
    open_handoffs: Mapping[str, int],
    before: Mapping[str, float],
    after: Mapping[str, float],
) -> tuple[Candidate, ...]:
    listed = []
    for member in pool.members:
        rep = team.rep(member.rep)
        assert rep is not None
        why = ruled_out.get(member.rep) or (Why.CHOSEN if member.rep == chosen else Why.NOT_THEIR_TURN)
        listed.append(
            Candidate(
                rep=member.rep,
                why=why,
                weight=member.weight,
                open=open_handoffs.get(member.rep, 0),
                capacity=rep.capacity,
                owed_before=before.get(member.rep, 0.0),
                owed_after=after.get(member.rep, 0.0),
            )
        )
    return tuple(listed)
