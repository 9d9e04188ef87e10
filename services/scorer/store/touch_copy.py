"""Many touches at once, by binary COPY: half of what encoding parameters costs, and the server writes whole pages.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import AsyncIterator, Iterable
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

# In whose history a touch belongs, whichever contact it was for when it was understood; and the touch.
Kept = tuple[UUID, Published]


async def copy_touches(connection: AsyncConnection, rows: Iterable[Kept]) -> None:
    """Add the rows to `scorer.touch`. Raises asyncpg.UniqueViolationError if any is there; the transaction is void."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None, "a connection in a transaction has its driver's"
    if not driver.is_in_transaction():
        await connection.exec_driver_sql("SELECT")  # the first statement begins it, and SQLAlchemy sees none in COPY
    await driver.copy_to_table("touch", source=_chunks(rows), format="binary", schema_name="scorer", columns=_COLUMNS)


async def _chunks(rows: Iterable[Kept]) -> AsyncIterator[bytes]:
    written: list[bytes | msgspec.Raw] = [_HEADER]
    for owner, (touch, payload, occurred_at, received_at) in rows:
        contact_id, touch_id = owner.int.to_bytes(16), touch.id.int.to_bytes(16)
        instants = 8, occurred_at - _EPOCH, 8, received_at - _EPOCH
        written.append(_row(5, 16, contact_id, 16, touch_id, *instants, len(payload)))
        written.append(payload)
    written.append(_TRAILER)
    yield b"".join(written)
