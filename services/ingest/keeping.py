"""Keeping what was rejected: from `events.rejected`, where all services write, into a table that can be searched.

Rows and position are one transaction. A crash at any line keeps a batch once, and a rejection that was published
twice is one row.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.ingest.store.rejections import RejectionStore
from shared.events.rejected import Place, Rejected, decode_rejected, rejected_by
from shared.log.records import Batch, StoredRecord
from shared.postgres.positions import Positions

UNREADABLE = "unreadable"


class Keeping:
    """Handles batches of `events.rejected`."""

    def __init__(self, rejections: RejectionStore, positions: Positions) -> None:
        self._rejections = rejections
        self._positions = positions

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Keep what is in the batches, and move past them. Raises PositionLost."""
        await self._keep(batches, [_read(record) for batch in batches for record in batch.records])

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the single record of the batch as it is: there is no further topic to set it aside on."""
        await self._keep([batch], [_unreadable(record, error) for record in batch.records])

    async def _keep(self, batches: Sequence[Batch], seen: Sequence[tuple[Rejected, datetime]]) -> None:
        async with self._positions.transaction(batches) as connection:
            await self._rejections.keep(connection, seen)


def _read(record: StoredRecord) -> tuple[Rejected, datetime]:
    try:
        rejected = decode_rejected(record.value)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        return _unreadable(record, error)
    if rejected.at.tzinfo is None:
        return _unreadable(record, ValueError("`at` has no time zone"))
    return rejected, record.appended_at


def _unreadable(record: StoredRecord, error: Exception) -> tuple[Rejected, datetime]:
    rejected = rejected_by(
        [],  # whatever its headers say of another place, it is about this record
        Place(record.partition.topic, record.partition.number, record.offset),
        reason=UNREADABLE,
        message=f"{type(error).__name__}: {error}",
        at=record.appended_at,
        original=record.value,
    )
    return rejected, record.appended_at
