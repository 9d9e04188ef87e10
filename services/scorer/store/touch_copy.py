"""Many touches at once, by binary COPY into a table of the session: half of what encoding parameters costs.

The format: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

# Emptied by the end of each transaction, whatever the end is.
_CREATE = """
    CREATE TEMP TABLE IF NOT EXISTS given_touch
        (contact_id uuid, id uuid, occurred_at timestamptz, received_at timestamptz, payload bytea)
    ON COMMIT DELETE ROWS
"""
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_row = Struct("!h i16s i16s iq iq i").pack  # five fields, each with its length before it; the payload follows

Row = tuple[UUID, UUID, datetime, datetime, bytes]


async def stage(connection: AsyncConnection, rows: Iterable[Row]) -> None:
    """Put the rows into `given_touch`, which this transaction alone sees."""
    await connection.exec_driver_sql(_CREATE)
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None, "a connection in a transaction has its driver's"
    await driver.copy_to_table("given_touch", source=_chunks(rows), format="binary", schema_name="pg_temp")


async def _chunks(rows: Iterable[Row]) -> AsyncIterator[bytes]:
    written = [_HEADER]
    for contact_id, touch_id, occurred_at, received_at, payload in rows:
        written.append(
            _row(
                *(5, 16, contact_id.bytes, 16, touch_id.bytes),
                *(8, _micros(occurred_at), 8, _micros(received_at), len(payload)),
            )
        )
        written.append(payload)
    written.append(_TRAILER)
    yield b"".join(written)


def _micros(instant: datetime) -> int:
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
