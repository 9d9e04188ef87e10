"""Leases: how long a claimed delivery is its process's. One that ran out is taken back; its holder ends nothing."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.store import tables
from services.router.store.claims import Claimed

_delivery = tables.delivery.c

RECLAIM_BATCH = 1000

_AFTER_LEASE = text("CASE WHEN cancelled THEN 'cancelled' ELSE 'pending' END")


class LeaseStore:
    """SQL about leases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def renew(self, claimed: Sequence[Claimed], *, until: datetime) -> set[UUID]:
        """Keep what is still ours for longer, and return what is."""
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                update(tables.delivery)
                .where(
                    _delivery.id.in_([delivery.id for delivery in claimed]),
                    _delivery.lease_id.in_({delivery.lease_id for delivery in claimed}),
                    _delivery.state == "sending",
                )
                .values(lease_until=until)
                .returning(_delivery.id)
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
