"""Many touches at once, by binary COPY: half of what encoding parameters costs, and the server writes whole pages.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.accepting import Published
from services.scorer.domain.instants import to_micros

_COLUMNS = ("contact_id", "id", "occurred_at", "received_at", "payload")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = to_micros(datetime(2000, 1, 1, tzinfo=UTC))
_row = Struct("!h i16s i16s iq iq i").pack  # five fields, each with its length before it; the payload follows

# In whose history touches belong, whichever contact they were for when they were understood; and the touches.
Kept = tuple[UUID, Sequence[Published]]


async def copy_touches(connection: AsyncConnection, rows: Iterable[Kept]) -> None:
    """Add the rows to `scorer.touch`. Raises asyncpg.UniqueViolationError if any is there; the transaction is void."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None, "a connection in a transaction has its driver's"
    if not driver.is_in_transaction():
        await connection.exec_driver_sql("SELECT")  # the first statement begins it, and SQLAlchemy sees none in COPY
    await driver.copy_to_table("touch", source=_chunks(rows), format="binary", schema_name="scorer", columns=_COLUMNS)


async def _chunks(rows: Iterable[Kept]) -> AsyncIterator[bytes]:
    written: list[bytes | msgspec.Raw] = [_HEADER]
    for owner, published in rows:
        contact_id = owner.int.to_bytes(16)
        for each in published:
            instants = 8, each.occurred_at - _EPOCH, 8, each.received_at - _EPOCH
            payload = each.payload
            written.append(_row(5, 16, contact_id, 16, each.touch.id.int.to_bytes(16), *instants, len(payload)))
            written.append(payload)
    written.append(_TRAILER)
    yield b"".join(written)
