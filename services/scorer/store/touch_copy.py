"""Many touches at once, by binary COPY: half of what encoding parameters costs, and the server writes whole pages.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from struct import Struct

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.events.touch import Touch

_COLUMNS = ("contact_id", "id", "occurred_at", "received_at", "payload")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_row = Struct("!h i16s i16s iq iq i").pack  # five fields, each with its length before it; the payload follows

# The numbers of a contact and a touch of its history: hashed and compared several times as fast as their UUIDs.
TouchKey = tuple[int, int]
Row = tuple[TouchKey, Touch, msgspec.Raw]  # with the bytes in which the touch came


async def copy_touches(connection: AsyncConnection, rows: Iterable[Row]) -> None:
    """Add the rows to `scorer.touch`. Raises asyncpg.UniqueViolationError if any is there; the transaction is void."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None, "a connection in a transaction has its driver's"
    await driver.copy_to_table("touch", source=_chunks(rows), format="binary", schema_name="scorer", columns=_COLUMNS)


async def _chunks(rows: Iterable[Row]) -> AsyncIterator[bytes]:
    written: list[bytes | msgspec.Raw] = [_HEADER]
    for (contact, number), touch, payload in rows:
        contact_id, touch_id = contact.to_bytes(16), number.to_bytes(16)
        occurred_at, received_at = _micros(touch.occurred_at), _micros(touch.received_at)
        written.append(_row(5, 16, contact_id, 16, touch_id, 8, occurred_at, 8, received_at, len(payload)))
        written.append(payload)
    written.append(_TRAILER)
    yield b"".join(written)


def _micros(instant: datetime) -> int:
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
