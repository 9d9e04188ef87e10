"""How many events each source has sent on each day, over all processes."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.store.tables import source_usage

Use = tuple[date, str]


class UsageStore:
    """Adds up use within the transaction of the caller."""

    async def add(self, connection: AsyncConnection, uses: Mapping[Use, int]) -> None:
        """Add what one process has accepted. In one order for all, so that writers never wait in a circle."""
        if not uses:
            return
        rows = [{"day": day, "source": name, "events": events} for (day, name), events in sorted(uses.items())]
        adding = insert(source_usage).values(rows)
        total = source_usage.c.events + adding.excluded.events
        await connection.execute(adding.on_conflict_do_update(index_elements=["day", "source"], set_={"events": total}))

    async def of_day(self, connection: AsyncConnection, day: date) -> dict[Use, int]:
        """Return the use of all sources on the day."""
        rows = await connection.execute(
            select(source_usage.c.source, source_usage.c.events).where(source_usage.c.day == day)
        )
        return {(day, row.source): row.events for row in rows}

    async def forget(self, connection: AsyncConnection, *, before: date, limit: int) -> int:
        """Drop some of the uses of days before this one; return how many."""
        column = source_usage.c
        old = (
            select(column.day, column.source)
            .where(column.day < before)
            .order_by(column.day, column.source)
            .limit(limit)
            .with_for_update(skip_locked=True)  # another process drops those
        )
        dropped = await connection.execute(delete(source_usage).where(tuple_(column.day, column.source).in_(old)))
        return dropped.rowcount
