"""Claims: deliveries that are due, leased to the process that sends them.

Claims are per endpoint, so that a slow or disabled endpoint with a long backlog costs the others nothing, and
deliveries due later cost a claim nothing. A lease that runs out is taken back, and whoever held it can end nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Integer, Text, Uuid, bindparam, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.store import tables

_delivery = tables.delivery.c
_Instant = DateTime(timezone=True)

RECLAIM_BATCH = 1000

_AFTER_LEASE = text("CASE WHEN cancelled THEN 'cancelled' ELSE 'pending' END")

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


class ClaimStore:
    """SQL about claims."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

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
                    .values(state=_AFTER_LEASE, lease_id=None, lease_until=None)
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
                    state=_AFTER_LEASE,
                    lease_id=None,
                    lease_until=None,
                    unsure=True,
                )
                .returning(_delivery.id)
            )
            return len(rows.all())
