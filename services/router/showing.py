"""What the API shows: handoffs, deliveries, attempts and the team as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from services.router.clocking import clock_of
from services.router.domain.brief import Objection, write_brief
from services.router.domain.clock_reading import Reading, read_clocks
from services.router.domain.contact import contact_json
from services.router.domain.decision_words import explain, explain_rep, read_decision
from services.router.domain.handoff import UNANSWERED, State, allowed
from services.router.domain.team import Team
from services.router.domain.team_writing import write_hours, write_rule
from services.router.domain.webhook import answer_urls
from services.router.endpoint_showing import endpoint_json
from services.router.store.endpoints import EndpointState
from services.router.store.handoff_row import Handoff


def handoff_json(handoff: Handoff, team: Team, *, now: datetime) -> dict[str, Any]:
    """Return a handoff as lists show it."""
    ready = handoff.ready
    rep = team.rep(handoff.rep) if handoff.rep else None
    return {
        "id": handoff.id,
        "state": handoff.state,
        "state_since": handoff.state_since,
        "reason": ready.reason,
        "agreement": ready.agreement,
        "decided_at": handoff.decided_at,
        "created_at": handoff.created_at,
        "contact": contact_json(ready.contact),
        "pool": handoff.pool,
        "rep": {"name": handoff.rep, "email": rep.email if rep else None} if handoff.rep else None,
        "rejected_because": handoff.reason,
        "engagement": ready.engagement.score,
        "fit": ready.fit.score,
        "stage": ready.stage,
        "respond_within_seconds": ready.respond.within_seconds,
        "clock": clock_json(handoff, team, now=now),
    }


def whole_handoff_json(
    handoff: Handoff,
    *,
    team: Team,
    history: Sequence[Mapping[str, Any]],
    deliveries: Sequence[Row[Any]],
    attempts: Sequence[Row[Any]],
    heard: Sequence[Objection] = (),
    public_url: str,
    now: datetime,
) -> dict[str, Any]:
    """Return all that is known about a handoff."""
    return {
        **handoff_json(handoff, team, now=now),
        "allowed": allowed(handoff.state),
        "answer": answer_urls(handoff.ready, public_url=public_url),
        "brief": write_brief(handoff.ready, heard=heard),
        "history": history,
        "deliveries": [
            {
                **delivery_json(delivery),
                "log": [attempt_json(attempt) for attempt in attempts if attempt.delivery_id == delivery.id],
            }
            for delivery in deliveries
        ],
    }


def clock_json(handoff: Handoff, team: Team, *, now: datetime) -> dict[str, Any]:
    """Return how the clock of a handoff stands, by the rep's hours, by the team's and by the wall's."""
    stopped_at = None if handoff.state in UNANSWERED else handoff.answered_at or handoff.state_since
    readings = read_clocks(clock_of(handoff, team, now=now), stopped_at=stopped_at, now=now)
    return {
        "state": readings.standing,
        "hours": handoff.ready.respond.hours,
        "within_seconds": handoff.ready.respond.within_seconds,
        "answer_by": readings.answer_by,
        "reassign_at": readings.reassign_at,
        "escalate_at": readings.escalate_at,
        "next": {"at": readings.ends[0], "step": readings.ends[1]} if readings.ends else None,
        "answered_at": handoff.answered_at,
        "rep": _reading_json(readings.rep) if readings.rep else None,
        "team": _reading_json(readings.team),
        "wall": _reading_json(readings.wall),
    }


def _reading_json(reading: Reading) -> dict[str, Any]:
    return {
        "since": reading.since,
        "due_at": reading.due_at,
        "elapsed_seconds": reading.elapsed.total_seconds(),
        "left_seconds": reading.left.total_seconds(),
    }


def history_json(handoff: Handoff, steps: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return how the handoff came in and every step that it took since."""
    return [
        {"at": handoff.created_at, "step": None, "before": None, "after": State.READY, "by": "router"},
        *(
            {
                "at": step.at,
                "step": step.step,
                "before": step.before,
                "after": step.after,
                "by": step.by,
                "rep": step.rep,
                "reason": step.reason,
                "note": step.note,
                "objection": step.objection,
                "amount": step.amount,
                "currency": step.currency,
            }
            for step in steps
        ),
    ]


def decisions_json(handoff: Handoff, steps: Sequence[Row[Any]], *, rep: str | None = None) -> dict[str, Any]:
    """Return the decision that counts now, and those before it, newest first; with a rep: why them, or why not."""
    made = [{"at": step.at, **step.decision} for step in reversed(steps) if step.decision]
    if handoff.state is State.READY and handoff.waiting_decision:
        made.insert(0, {"at": handoff.state_since, **handoff.waiting_decision})
    return {
        "handoff": handoff.id,
        "state": handoff.state,
        "decision": made[0] if made else None,
        "words": explain(read_decision(made[0])) if made else [],
        **({"rep": explain_rep(read_decision(made[0]), rep)} if made and rep else {}),
        "earlier": made[1:],
    }


def delivery_json(row: Row[Any]) -> dict[str, Any]:
    """Return a delivery as lists show it."""
    return {
        "id": row.id,
        "webhook_id": row.message_id,
        "endpoint": row.endpoint,
        "handoff": row.handoff_id,
        "state": row.state,
        "attempts": row.attempts,
        "last_outcome": row.last_outcome,
        "created_at": row.created_at,
        "next_attempt_at": row.due_at if row.state == "pending" else None,
        "ended_at": row.ended_at,
    }


def attempt_json(row: Row[Any]) -> dict[str, Any]:
    """Return an attempt."""
    return {
        "number": row.number,
        "started_at": row.started_at,
        "duration_ms": row.duration_ms,
        "outcome": row.outcome,
        "status": row.status,
        "error": row.error,
        "response": row.response,
        "peer": row.peer,
        "next_attempt_at": row.next_attempt_at,
        "phases": row.phases,
        "request_headers": row.request_headers,
    }


def team_json(
    team: Team, *, open_handoffs: Mapping[str, int], states: Mapping[str, EndpointState], now: datetime
) -> dict[str, Any]:
    """Return the team with what it is doing now, and without a secret."""
    return {
        "version": team.version,
        "reps": [
            {
                "name": rep.name,
                "email": rep.email,
                "capacity": rep.capacity,
                "away": rep.away,
                "per_hour": rep.per_hour,
                "per_day": rep.per_day,
                "hours": write_hours(rep.calendar),
                "time_off": [{"from": off.first, "to": off.last} for off in rep.off],
                "open": open_handoffs.get(rep.name, 0),
            }
            for rep in team.reps
        ],
        "pools": [
            {
                "name": pool.name,
                "manager": pool.manager,
                "hours": write_hours(pool.calendar),
                "members": [
                    {
                        "rep": member.rep,
                        "weight": member.weight,
                        "owed": team.owed.get(pool.name, {}).get(member.rep, 0.0),
                    }
                    for member in pool.members
                ],
            }
            for pool in team.pools
        ],
        "rules": [write_rule(rule) for rule in team.rules],
        "default_pool": team.default_pool,
        "hours": write_hours(team.calendar),
        "endpoints": [endpoint_json(endpoint, states.get(endpoint.name), now=now) for endpoint in team.endpoints],
    }
