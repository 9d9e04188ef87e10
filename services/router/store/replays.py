"""Replays: which deliveries are being sent again, and how far that has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.replay import Wanted
from services.router.store import tables

_replay = tables.replay.c

_SHOWN = 100

_RUNNING = _replay.state == literal_column("'running'")  # in the text, as the partial index has it


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay."""

    id: UUID
    wanted: Wanted
    rate: float
    state: str
    total: int
    looked_at: int
    replayed: int
    place: tuple[datetime, UUID] | None  # of the last delivery that was looked at
    created_at: datetime
    created_by: str
    ended_at: datetime | None


class ReplayStore:
    """SQL about replays."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, replay_id: UUID, wanted: Wanted, *, rate: float, total: int, by: str, now: datetime) -> Replay:
        """Begin a replay."""
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(tables.replay).values(
                    id=replay_id,
                    wanted=msgspec.to_builtins(wanted),
                    rate=rate,
                    state="running",
                    total=total,
                    created_at=now,
                    created_by=by,
                    due_at=now,
                )
            )
            return _read(await self._row(connection, replay_id))

    async def all(self) -> list[Replay]:
        """Return the replays, newest first."""
        newest = select(tables.replay).order_by(_replay.created_at.desc(), _replay.id).limit(_SHOWN)
        async with self._engine.connect() as connection:
            return [_read(row) for row in await connection.execute(newest)]

    async def find(self, replay_id: UUID) -> Replay | None:
        """Return a replay."""
        async with self._engine.connect() as connection:
            row = await self._row(connection, replay_id)
            return _read(row) if row else None

    async def cancel(self, replay_id: UUID, *, now: datetime) -> Replay | None:
        """End a replay where it is; what it has sent again stays so."""
        async with self._engine.begin() as connection:
            await connection.execute(
                update(tables.replay).where(_replay.id == replay_id, _RUNNING).values(state="cancelled", ended_at=now)
            )
            row = await self._row(connection, replay_id)
            return _read(row) if row else None

    async def take_due(self, connection: AsyncConnection, *, now: datetime) -> Replay | None:
        """Lock and return a replay that goes on now and that nobody else drives."""
        due = select(tables.replay).where(_RUNNING, _replay.due_at <= now).order_by(_replay.due_at).limit(1)
        row = (await connection.execute(due.with_for_update(skip_locked=True))).one_or_none()
        return _read(row) if row else None

    async def advance(
        self,
        connection: AsyncConnection,
        replay: Replay,
        places: Sequence[tuple[datetime, UUID]],
        *,
        replayed: int,
        due_at: datetime,
        now: datetime,
    ) -> None:
        """Note how far it has come; without places it is done."""
        values: dict[str, Any] = {"state": "done", "ended_at": now}
        if places:
            created_at, last = places[-1]
            values = {
                "after_created_at": created_at,
                "after_id": last,
                "looked_at": replay.looked_at + len(places),
                "replayed": replay.replayed + replayed,
                "due_at": due_at,
            }
        await connection.execute(update(tables.replay).where(_replay.id == replay.id).values(**values))

    async def _row(self, connection: AsyncConnection, replay_id: UUID) -> Any:
        return (await connection.execute(select(tables.replay).where(_replay.id == replay_id))).one_or_none()


def _read(row: Any) -> Replay:
    return Replay(
        id=row.id,
        wanted=msgspec.convert(row.wanted, Wanted),
        rate=row.rate,
        state=row.state,
        total=row.total,
        looked_at=row.looked_at,
        replayed=row.replayed,
        place=(row.after_created_at, row.after_id) if row.after_id else None,
        created_at=row.created_at,
        created_by=row.created_by,
        ended_at=row.ended_at,
    )
