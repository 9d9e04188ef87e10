"""Attempts: the log of every try, written as the delivery moves on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Float, Integer, Row, Text, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.outcome import Outcome
from services.router.store import tables
from services.router.store.claims import Claimed

_Instant = DateTime(timezone=True)

# Only a delivery that is still under the attempt's own lease ends; its attempt is logged in the same statement.
FINISH = text(
    """
    WITH result AS (
        SELECT * FROM unnest(:ids, :leases, :states, :failures, :started, :durations, :outcomes, :statuses, :errors,
                             :responses, :peers, :nexts, :phases, :headers)
            AS r(id, lease_id, state, failures, started_at, duration_ms, outcome, status, error, response, peer, next,
                 phases, request_headers)
    ), ended AS (
        UPDATE router.delivery d SET
            state = CASE WHEN r.state = 'pending' AND d.cancelled THEN 'cancelled' ELSE r.state END,
            due_at = coalesce(r.next, d.due_at), lease_id = NULL, lease_until = NULL,
            attempts = d.attempts + 1, failures = r.failures, last_outcome = r.outcome,
            ended_at = CASE WHEN r.state = 'pending' THEN NULL ELSE CAST(:now AS timestamptz) END
        FROM result r WHERE d.id = r.id AND d.state = 'sending' AND d.lease_id = r.lease_id
        RETURNING d.id, d.attempts, r.started_at, r.duration_ms, r.outcome, r.status, r.peer, r.next,
                  r.phases, r.request_headers,
                  -- What a receiver says about an erased contact is not kept either.
                  CASE WHEN d.body = '' THEN '' ELSE r.error END AS error,
                  CASE WHEN d.body = '' THEN '' ELSE r.response END AS response
    )
    INSERT INTO router.attempt
        (delivery_id, number, started_at, duration_ms, outcome, status, error, response, peer, next_attempt_at,
         phases, request_headers)
    SELECT id, attempts, started_at, duration_ms, outcome, status, error, response, peer, next,
           CAST(phases AS jsonb), CAST(request_headers AS jsonb)
    FROM ended
    RETURNING delivery_id
    """
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("leases", type_=ARRAY(Uuid)),
    bindparam("states", type_=ARRAY(Text)),
    bindparam("failures", type_=ARRAY(Integer)),
    bindparam("started", type_=ARRAY(_Instant)),
    bindparam("durations", type_=ARRAY(Float)),
    bindparam("outcomes", type_=ARRAY(Text)),
    bindparam("statuses", type_=ARRAY(Integer)),
    bindparam("errors", type_=ARRAY(Text)),
    bindparam("responses", type_=ARRAY(Text)),
    bindparam("peers", type_=ARRAY(Text)),
    bindparam("nexts", type_=ARRAY(_Instant)),
    bindparam("phases", type_=ARRAY(Text)),
    bindparam("headers", type_=ARRAY(Text)),
    bindparam("now", type_=_Instant),
)


@dataclass(frozen=True, slots=True)
class Finished:
    """What an attempt came to, and the state that its delivery is in now."""

    delivery: Claimed
    state: str
    failures: int
    started_at: datetime
    duration_ms: float
    outcome: Outcome
    status: int | None
    error: str
    response: str
    peer: str
    next_attempt: datetime | None
    phases: str = "{}"  # JSON, milliseconds
    request_headers: str = "{}"  # JSON, redacted


class AttemptStore:
    """SQL about attempts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def finish(self, connection: AsyncConnection, results: Sequence[Finished], *, now: datetime) -> set[UUID]:
        """End the attempts and log them; return the deliveries whose lease was still ours."""
        rows = await connection.execute(
            FINISH,
            {
                "ids": [result.delivery.id for result in results],
                "leases": [result.delivery.lease_id for result in results],
                "states": [result.state for result in results],
                "failures": [result.failures for result in results],
                "started": [result.started_at for result in results],
                "durations": [result.duration_ms for result in results],
                "outcomes": [result.outcome for result in results],
                "statuses": [result.status for result in results],
                "errors": [result.error for result in results],
                "responses": [result.response for result in results],
                "peers": [result.peer for result in results],
                "nexts": [result.next_attempt for result in results],
                "phases": [result.phases for result in results],
                "headers": [result.request_headers for result in results],
                "now": now,
            },
        )
        return set(rows.scalars())

    async def of_deliveries(self, deliveries: Iterable[UUID]) -> list[Row[Any]]:
        """Return the attempts of the deliveries, first to last."""
        attempt = tables.attempt.c
        async with self._engine.connect() as connection:
            return list(
                await connection.execute(
                    select(tables.attempt)
                    .where(attempt.delivery_id.in_(list(deliveries)))
                    .order_by(attempt.delivery_id, attempt.number)
                )
            )
