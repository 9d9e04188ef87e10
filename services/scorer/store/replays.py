"""Replays: how far the touches of all contacts are counted under an agreement that is not in force yet.

Contacts are gone through in the order of their ids, in slices that processes share. Ids are hashes, so that how far a
slice has come in the space of ids tells how much of it is done, and nobody has to count contacts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store.tables import replay, replay_slice

SLICES = 16
_WIDTH = (1 << 128) // SLICES  # of the space of ids


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a replay that one transaction at a time goes on with: ids above `after`, up to `until`."""

    version: int
    number: int
    after: UUID | None  # None: from the first id on

    @property
    def until(self) -> UUID:
        """The last id that belongs to the slice."""
        return UUID(int=(self.number + 1) * _WIDTH - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a replay is."""

    version: int
    replaces: int  # the version in force meanwhile
    started_at: datetime
    finished_at: datetime | None  # None: under way, or another version came before it
    contacts: int  # gone through so far
    share: float  # of all contacts, 0 to 1


class ReplayStore:
    """The rows of `scorer.replay` and `scorer.replay_slice`."""

    async def begin(self, connection: AsyncConnection, version: int, *, replaces: int, at: datetime) -> None:
        """Begin the replay of a version."""
        await connection.execute(insert(replay).values(version=version, replaces=replaces, started_at=at))
        await connection.execute(
            insert(replay_slice), [{"version": version, "number": number} for number in range(SLICES)]
        )

    async def claim(self, connection: AsyncConnection, version: int) -> Slice | None:
        """Return an unfinished slice that nobody else works on, held until the transaction ends."""
        unfinished = (
            select(replay_slice)
            .where(replay_slice.c.version == version, ~replay_slice.c.finished)
            .order_by(replay_slice.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = (await connection.execute(unfinished)).one_or_none()
        if row is None:
            return None
        start = UUID(int=row.number * _WIDTH - 1) if row.number else None
        return Slice(version, row.number, row.after or start)

    async def advance(self, connection: AsyncConnection, done: Slice, contacts: Sequence[UUID]) -> None:
        """Note contacts of the slice as gone through, in the order of their ids; without any it is finished."""
        values = {"after": contacts[-1], "contacts": replay_slice.c.contacts + len(contacts)} if contacts else {}
        await connection.execute(
            update(replay_slice)
            .where(replay_slice.c.version == done.version, replay_slice.c.number == done.number)
            .values(**values, finished=not contacts)
        )

    async def is_done(self, connection: AsyncConnection, version: int) -> bool:
        """Tell whether all slices of the version are finished."""
        left = select(func.count()).where(replay_slice.c.version == version, ~replay_slice.c.finished)
        return not await connection.scalar(left)

    async def replaced_by(self, connection: AsyncConnection, version: int) -> int:
        """Return which version was in force when the replay of this one began."""
        statement = select(replay.c.replaces).where(replay.c.version == version)
        return int((await connection.execute(statement)).scalar_one())

    async def finish(self, connection: AsyncConnection, version: int, *, at: datetime) -> None:
        """Note that the version is in force."""
        await connection.execute(update(replay).where(replay.c.version == version).values(finished_at=at))

    async def progress(self, connection: AsyncConnection, version: int) -> Progress | None:
        """Return how far the replay of a version is, None when it needed none."""
        row = (await connection.execute(select(replay).where(replay.c.version == version))).one_or_none()
        if row is None:
            return None
        slices = (await connection.execute(select(replay_slice).where(replay_slice.c.version == version))).all()
        done = sum(
            _WIDTH if each.finished else each.after.int - each.number * _WIDTH if each.after else 0 for each in slices
        )
        return Progress(
            version=version,
            replaces=row.replaces,
            started_at=row.started_at,
            finished_at=row.finished_at,
            contacts=sum(each.contacts for each in slices),
            share=done / (SLICES * _WIDTH),
        )
