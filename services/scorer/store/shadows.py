"""Shadows: drafts that decide silently beside the active agreement, one at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store.tables import shadow, simulated_lead
from shared.ids import derived_id

KEPT = 10  # shadows; those of before are forgotten, with what they found

_LOCK = derived_id("scorer.shadow").int & 0x7FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A draft that decides silently, since when, and how far it was compared."""

    id: UUID
    version: int
    active_version: int
    status: str
    started_by: str
    started_at: datetime
    compared_until: datetime
    ended_at: datetime | None
    ended_because: str | None


class ShadowStore:
    """The rows of `scorer.shadow`."""

    async def hold(self, connection: AsyncConnection) -> None:
        """Let nobody else start or end a shadow until the transaction ends."""
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    async def start(
        self, connection: AsyncConnection, shadow_id: UUID, *, version: int, active_version: int, by: str, now: datetime
    ) -> None:
        """Let the version decide silently from now on. None may run; the oldest that ended are forgotten."""
        await connection.execute(
            insert(shadow).values(
                id=shadow_id,
                version=version,
                active_version=active_version,
                status="running",
                started_by=by,
                started_at=now,
                compared_until=now,
            )
        )
        newest = select(shadow.c.id).order_by(shadow.c.started_at.desc(), shadow.c.id.desc()).offset(KEPT)
        gone = list(await connection.scalars(newest))
        if gone:
            await connection.execute(delete(simulated_lead).where(simulated_lead.c.comparison_id.in_(gone)))
            await connection.execute(delete(shadow).where(shadow.c.id.in_(gone)))

    async def running(self, connection: AsyncConnection) -> Shadow | None:
        """Return the one that decides silently now."""
        row = (await connection.execute(select(shadow).where(shadow.c.status == "running"))).one_or_none()
        return None if row is None else _shadow(row)

    async def read(self, connection: AsyncConnection, shadow_id: UUID) -> Shadow:
        """Return one that there is."""
        return _shadow((await connection.execute(select(shadow).where(shadow.c.id == shadow_id))).one())

    async def newest(self, connection: AsyncConnection) -> Shadow | None:
        """Return the one that runs, else the one that was started last."""
        latest = ((shadow.c.status == "running").desc(), shadow.c.started_at.desc(), shadow.c.ended_at.desc())
        row = (await connection.execute(select(shadow).order_by(*latest).limit(1))).one_or_none()
        return None if row is None else _shadow(row)

    async def end(self, connection: AsyncConnection, shadow_id: UUID, *, because: str, now: datetime) -> None:
        """Let it decide no more."""
        running = update(shadow).where(shadow.c.id == shadow_id, shadow.c.status == "running")
        await connection.execute(running.values(status="ended", ended_at=now, ended_because=because))

    async def compared(self, connection: AsyncConnection, shadow_id: UUID, *, until: datetime) -> None:
        """Note that all days until then are compared."""
        await connection.execute(
            update(shadow)
            .where(shadow.c.id == shadow_id)
            .values(compared_until=func.greatest(shadow.c.compared_until, until))
        )


def _shadow(row: Row[Any]) -> Shadow:
    return Shadow(**row._mapping)  # noqa: SLF001  # its public name for a mapping
