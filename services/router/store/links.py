"""Links that were used: each works once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.answer_link import Link
from services.router.store import tables

_used = tables.used_link.c


class LinkStore:
    """SQL about used links."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def is_used(self, link: Link) -> bool:
        """Tell whether the link was used."""
        async with self._engine.connect() as connection:
            return bool(
                await connection.scalar(
                    select(
                        select(_used.step)
                        .where(
                            _used.handoff_id == link.handoff_id,
                            _used.assignment == link.assignment,
                            _used.step == link.step,
                        )
                        .exists()
                    )
                )
            )

    async def use(self, connection: AsyncConnection, link: Link, *, now: datetime) -> bool:
        """Use the link; return False when it was used already."""
        used = await connection.scalar(
            insert(tables.used_link)
            .values(handoff_id=link.handoff_id, assignment=link.assignment, step=link.step, used_at=now)
            .on_conflict_do_nothing()
            .returning(_used.step)
        )
        return used is not None
