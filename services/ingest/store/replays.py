"""Replays that somebody asked for, and how far each has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.wanted import Wanted
from services.ingest.store.rejections import matching
from services.ingest.store.tables import rejection, replay
from shared.ids import derived_id

_LOCK_KEY = derived_id("replaying").int & 0x7FFF_FFFF_FFFF_FFFF


class ReplayStore:
    """All replays that are remembered."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, identity: UUID, wanted: Wanted, *, by: str, total: int, now: datetime) -> None:
        """Remember that somebody wants these replayed."""
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(replay).values(
                    id=identity,
                    requested_by=by,
                    requested_at=now,
                    wanted=msgspec.to_builtins(wanted),
                    total=total,
                    replayed=0,
                    skipped=0,
                    next_at=now,
                )
            )

    async def find(self, identity: UUID) -> Row[Any] | None:
        """Return how far a replay has come."""
        async with self._engine.connect() as connection:
            return (await connection.execute(select(replay).where(replay.c.id == identity))).one_or_none()

    async def lock_oldest(self, connection: AsyncConnection) -> Row[Any] | None:
        """Hold the oldest replay that is not finished; None also while another process is at it."""
        if not await connection.scalar(select(func.pg_try_advisory_xact_lock(_LOCK_KEY))):
            return None
        statement = select(replay).where(replay.c.finished_at.is_(None)).order_by(replay.c.requested_at, replay.c.id)
        return (await connection.execute(statement.limit(1).with_for_update())).one_or_none()

    async def lock_next(
        self, connection: AsyncConnection, job: Row[Any], *, most: int, most_bytes: int
    ) -> Sequence[Row[Any]]:
        """Hold the rejections that come next, in the order in which they were first seen; [] at the end."""
        wanted = msgspec.convert(job.wanted, Wanted)
        column = rejection.c
        statement = matching(select(column.id, column.size_bytes), wanted)
        if not wanted.ids:  # or what is rejected meanwhile would keep it going
            statement = statement.where(column.first_seen <= job.requested_at)
        if job.last_id is not None:
            statement = statement.where(tuple_(column.first_seen, column.id) > (job.last_first_seen, job.last_id))
        found = (await connection.execute(statement.order_by(column.first_seen, column.id).limit(most))).all()
        ids: list[UUID] = []
        size = 0
        for row in found:
            size += row.size_bytes
            if ids and size > most_bytes:
                break
            ids.append(row.id)
        if not ids:
            return []
        held = select(rejection).where(column.id.in_(ids)).order_by(column.id).with_for_update()
        rows = (await connection.execute(held)).all()
        return sorted(rows, key=lambda row: (row.first_seen, row.id))

    async def advance(
        self,
        connection: AsyncConnection,
        job: Row[Any],
        *,
        replayed: Sequence[Row[Any]],
        skipped: int,
        last: Row[Any],
        now: datetime,
        next_at: datetime,
    ) -> None:
        """Note what was replayed, and go on behind `last`."""
        ids = bindparam("ids", [row.id for row in replayed], ARRAY(UUID_TYPE(as_uuid=True)))
        await connection.execute(
            update(rejection)
            .where(rejection.c.id == func.any(ids))
            .values(replays=rejection.c.replays + 1, replayed_at=now, replayed_by=job.requested_by, waiting=False)
        )
        await connection.execute(
            update(replay)
            .where(replay.c.id == job.id)
            .values(
                replayed=replay.c.replayed + len(replayed),
                skipped=replay.c.skipped + skipped,
                last_first_seen=last.first_seen,
                last_id=last.id,
                next_at=next_at,
            )
        )

    async def finish(self, connection: AsyncConnection, job: Row[Any], *, now: datetime) -> None:
        """Note that there is nothing left to replay."""
        await connection.execute(update(replay).where(replay.c.id == job.id).values(finished_at=now))

    async def sweep(self, *, older_than: datetime) -> None:
        """Forget the replays that were finished before the instant."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(replay).where(replay.c.finished_at < older_than))
