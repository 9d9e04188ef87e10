"""Who gets the handoffs that wait: the whole queue decided at once, oldest first."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.router.domain.assignment import Decision, can_take, choose_pool, choose_rep
from services.router.domain.brief import write_brief
from services.router.domain.team import Rep, Team
from services.router.domain.webhook import Message, render_lead_ready
from shared.events.handoff import HandoffReady


@dataclass(frozen=True, slots=True)
class Waiting:
    """A handoff in the queue. `pool` was chosen under `team_version`; both are None until a team chose."""

    id: UUID
    contact_id: UUID
    ready: HandoffReady
    pool: str | None
    team_version: int | None
    assignments: int
    steps: int
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A handoff given to a rep, and what is sent about it to which endpoints."""

    handoff: Waiting
    rep: str
    decision: Decision
    message: Message
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queued:
    """A handoff whose pool is known but has nobody available."""

    handoff: Waiting
    decision: Decision


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what the pools owe their members afterwards."""

    assignments: tuple[Assignment, ...]
    queued: tuple[Queued, ...]
    owed: Mapping[str, Mapping[str, float]]


def free_pools(team: Team, open_handoffs: Mapping[str, int]) -> list[str]:
    """Return the pools in which somebody is available."""
    return [pool.name for pool in team.pools if can_take(team, pool, open_handoffs)]


def plan_assignments(
    team: Team, waiting: Iterable[Waiting], *, open_handoffs: Mapping[str, int], now: datetime, public_url: str
) -> Plan:
    """Decide for each handoff in turn; what one gets counts for the next."""
    counts = dict(open_handoffs)
    owed = {pool: dict(debts) for pool, debts in team.owed.items()}
    assignments: list[Assignment] = []
    queued: list[Queued] = []
    for handoff in waiting:
        route = choose_pool(team, handoff.ready.contact)
        if route is None:
            continue
        decision, after = choose_rep(team, route, open_handoffs=counts, owed=owed.get(route.pool, {}))
        rep = team.rep(decision.rep) if decision.rep else None
        if rep is None:
            queued.append(Queued(handoff=handoff, decision=decision))
            continue
        counts[rep.name] = counts.get(rep.name, 0) + 1
        owed[route.pool] = dict(after)
        assignments.append(_assign(team, handoff, rep, decision, now=now, public_url=public_url))
    return Plan(assignments=tuple(assignments), queued=tuple(queued), owed=owed)


def _assign(
    team: Team, handoff: Waiting, rep: Rep, decision: Decision, *, now: datetime, public_url: str
) -> Assignment:
    pool = decision.route.pool
    return Assignment(
        handoff=handoff,
        rep=rep.name,
        decision=decision,
        message=render_lead_ready(
            handoff.ready,
            rep=rep,
            pool=pool,
            brief=write_brief(handoff.ready),
            assignment=handoff.assignments + 1,
            assigned_at=now,
            public_url=public_url,
        ),
        endpoints=tuple(endpoint.name for endpoint in team.endpoints if endpoint.serves(pool=pool, rep=rep.name)),
    )
