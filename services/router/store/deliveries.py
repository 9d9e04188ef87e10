"""Deliveries: a durable queue with fenced leases, and the log of every attempt.

A delivery is `pending` until it is claimed, `sending` under a lease, then `delivered`, `dead` or `pending` again;
`cancelled` when its contact wants to be left alone. Claims are per endpoint, so that a slow or disabled endpoint with
a long backlog costs the others nothing, and deliveries due later cost a claim nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    Float,
    Integer,
    Row,
    Text,
    Uuid,
    bindparam,
    exists,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.outcome import Outcome
from services.router.store import tables

_delivery = tables.delivery.c
_Instant = DateTime(timezone=True)

RECLAIM_BATCH = 1000

CLAIM = text(
    """
    WITH open AS (
        SELECT e.name, e.url, e.secret, least(coalesce(b.slots, :each), :total) AS slots
        FROM router.endpoint e LEFT JOIN unnest(:names, :slots) AS b(name, slots) ON b.name = e.name
        WHERE e.enabled AND NOT e.removed AND e.disabled_at IS NULL
          AND (e.paused_until IS NULL OR e.paused_until <= :now)
        ORDER BY random()
    ), due AS (
        SELECT d.id, open.url, open.secret
        FROM open CROSS JOIN LATERAL (
            SELECT id FROM router.delivery
            WHERE endpoint = open.name AND state = 'pending' AND due_at <= :now
            ORDER BY due_at, id LIMIT open.slots FOR UPDATE SKIP LOCKED
        ) d
        LIMIT :total
    )
    UPDATE router.delivery d SET state = 'sending', lease_id = :lease_id, lease_until = :lease_until
    FROM due WHERE d.id = due.id
    RETURNING d.id, d.message_id, d.endpoint, due.url, due.secret, d.body, d.traceparent, d.failures, d.created_at
    """
).bindparams(
    bindparam("names", type_=ARRAY(Text)),
    bindparam("slots", type_=ARRAY(Integer)),
    bindparam("each", type_=Integer),
    bindparam("total", type_=Integer),
    bindparam("now", type_=_Instant),
    bindparam("lease_until", type_=_Instant),
    bindparam("lease_id", type_=Uuid),
)

# Only a delivery that is still under the attempt's own lease ends; its attempt is logged in the same statement.
FINISH = text(
    """
    WITH result AS (
        SELECT * FROM unnest(:ids, :leases, :states, :failures, :started, :durations, :outcomes, :statuses, :errors,
                             :responses, :peers, :nexts)
            AS r(id, lease_id, state, failures, started_at, duration_ms, outcome, status, error, response, peer, next)
    ), ended AS (
        UPDATE router.delivery d SET
            state = CASE WHEN r.state = 'pending' AND d.cancelled THEN 'cancelled' ELSE r.state END,
            due_at = coalesce(r.next, d.due_at), lease_id = NULL, lease_until = NULL,
            attempts = d.attempts + 1, failures = r.failures, last_outcome = r.outcome,
            ended_at = CASE WHEN r.state = 'pending' THEN NULL ELSE CAST(:now AS timestamptz) END
        FROM result r WHERE d.id = r.id AND d.state = 'sending' AND d.lease_id = r.lease_id
        RETURNING d.id, d.attempts, r.started_at, r.duration_ms, r.outcome, r.status, r.error, r.response, r.peer,
                  r.next
    )
    INSERT INTO router.attempt
        (delivery_id, number, started_at, duration_ms, outcome, status, error, response, peer, next_attempt_at)
    SELECT id, attempts, started_at, duration_ms, outcome, status, error, response, peer, next FROM ended
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
    bindparam("now", type_=_Instant),
)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to make."""

    id: UUID
    message_id: str
    endpoint: str
    handoff_id: UUID
    contact_id: UUID
    body: bytes
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery under our lease, and where it goes."""

    id: UUID
    lease_id: UUID
    message_id: str
    endpoint: str
    url: str
    secret: str
    body: bytes
    traceparent: str | None
    failures: int
    created_at: datetime


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


class DeliveryStore:
    """All SQL about deliveries."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, connection: AsyncConnection, deliveries: Sequence[NewDelivery], *, now: datetime) -> None:
        """Make deliveries that are due at once; one that is there already stays as it is."""
        if deliveries:
            await connection.execute(
                insert(tables.delivery).on_conflict_do_nothing(index_elements=["message_id", "endpoint"]),
                [
                    {
                        "id": delivery.id,
                        "message_id": delivery.message_id,
                        "endpoint": delivery.endpoint,
                        "handoff_id": delivery.handoff_id,
                        "contact_id": delivery.contact_id,
                        "state": "pending",
                        "due_at": now,
                        "created_at": now,
                        "body": delivery.body,
                        "traceparent": delivery.traceparent,
                    }
                    for delivery in deliveries
                ],
            )

    async def claim(
        self,
        *,
        slots: Mapping[str, int],
        each: int,
        total: int,
        lease_id: UUID,
        lease_until: datetime,
        now: datetime,
    ) -> list[Claimed]:
        """Lease what is due: at most `total`, and of an endpoint at most its `slots`, or `each` if it is not listed."""
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                CLAIM,
                {
                    "names": list(slots),
                    "slots": list(slots.values()),
                    "each": each,
                    "total": total,
                    "now": now,
                    "lease_id": lease_id,
                    "lease_until": lease_until,
                },
            )
            return [
                Claimed(
                    id=row.id,
                    lease_id=lease_id,
                    message_id=row.message_id,
                    endpoint=row.endpoint,
                    url=row.url,
                    secret=row.secret,
                    body=row.body,
                    traceparent=row.traceparent,
                    failures=row.failures,
                    created_at=row.created_at,
                )
                for row in rows
            ]

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
                "now": now,
            },
        )
        return set(rows.scalars())

    async def release(self, claimed: Sequence[Claimed]) -> None:
        """Give back what was leased but not sent."""
        if claimed:
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(tables.delivery)
                    .where(
                        _delivery.id.in_([delivery.id for delivery in claimed]),
                        _delivery.lease_id.in_({delivery.lease_id for delivery in claimed}),
                        _delivery.state == "sending",
                    )
                    .values(state="pending", lease_id=None, lease_until=None)
                )

    async def reclaim(self, *, now: datetime) -> int:
        """Put back what a process that died had leased; return how many."""
        expired = (
            select(_delivery.id)
            .where(_delivery.state == "sending", _delivery.lease_until <= now)
            .limit(RECLAIM_BATCH)
            .with_for_update(skip_locked=True)
        )
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                update(tables.delivery)
                .where(_delivery.id.in_(expired))
                .values(
                    state=text("CASE WHEN cancelled THEN 'cancelled' ELSE 'pending' END"),
                    lease_id=None,
                    lease_until=None,
                )
                .returning(_delivery.id)
            )
            return len(rows.all())

    async def cancel(self, connection: AsyncConnection, handoffs: Sequence[UUID]) -> None:
        """Send nothing more about the handoffs. An attempt under way may still succeed; it is the last."""
        mine = _delivery.handoff_id.in_(list(handoffs))
        await connection.execute(
            update(tables.delivery)
            .where(mine, _delivery.state.in_(["pending", "dead"]))
            .values(state="cancelled", ended_at=func.coalesce(_delivery.ended_at, func.now()))
        )
        await connection.execute(
            update(tables.delivery).where(mine, _delivery.state == "sending").values(cancelled=True)
        )

    async def end_for_endpoints(self, connection: AsyncConnection, endpoints: Iterable[str], *, now: datetime) -> None:
        """End what waits for endpoints that are no more; it can be replayed when they return."""
        await connection.execute(
            update(tables.delivery)
            .where(_delivery.endpoint.in_(list(endpoints)), _delivery.state == "pending")
            .values(state="dead", ended_at=now)
        )

    async def replay(self, ids: Sequence[UUID], *, now: datetime) -> list[UUID]:
        """Make deliveries due now, with a fresh schedule, and return which.

        Left alone are those under way, those cancelled, and those about contacts who want to be left alone.
        """
        opted_out = exists().where(
            tables.opted_out.c.contact_id == _delivery.contact_id,
            tables.handoff.c.id == _delivery.handoff_id,
            tables.handoff.c.decided_at <= tables.opted_out.c.at,
        )
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                update(tables.delivery)
                .where(
                    _delivery.id.in_(list(ids)),
                    _delivery.state.in_(["dead", "delivered", "pending"]),
                    ~opted_out,
                )
                .values(state="pending", due_at=now, failures=0, ended_at=None)
                .returning(_delivery.id)
            )
            return list(rows.scalars())

    async def waiting(self) -> int:
        """Return how many deliveries are due now or later."""
        async with self._engine.connect() as connection:
            count = await connection.scalar(
                select(func.count()).select_from(tables.delivery).where(_delivery.state.in_(["pending", "sending"]))
            )
            return int(count or 0)

    async def of_handoff(self, handoff_id: UUID) -> list[Row[Any]]:
        """Return the deliveries about a handoff, oldest first."""
        return await self._rows(
            _columns().where(_delivery.handoff_id == handoff_id).order_by(_delivery.created_at, _delivery.id)
        )

    async def attempts(self, deliveries: Iterable[UUID]) -> list[Row[Any]]:
        """Return the attempts of the deliveries, first to last."""
        attempt = tables.attempt.c
        return await self._rows(
            select(tables.attempt)
            .where(attempt.delivery_id.in_(list(deliveries)))
            .order_by(attempt.delivery_id, attempt.number)
        )

    async def page(
        self,
        *,
        states: Sequence[str],
        endpoint: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Row[Any]]:
        """Return deliveries, newest first, those before the cursor."""
        statement = _columns().order_by(_delivery.created_at.desc(), _delivery.id.desc()).limit(limit)
        if states:
            statement = statement.where(_delivery.state.in_(list(states)))
        if endpoint:
            statement = statement.where(_delivery.endpoint == endpoint)
        if before:
            statement = statement.where(tuple_(_delivery.created_at, _delivery.id) < tuple_(*before))
        return await self._rows(statement)

    async def _rows(self, statement: Any) -> list[Row[Any]]:
        async with self._engine.connect() as connection:
            return list(await connection.execute(statement))


def _columns() -> Any:
    return select(
        _delivery.id,
        _delivery.message_id,
        _delivery.endpoint,
        _delivery.handoff_id,
        _delivery.state,
        _delivery.due_at,
        _delivery.attempts,
        _delivery.last_outcome,
        _delivery.created_at,
        _delivery.ended_at,
    )
