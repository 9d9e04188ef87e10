"""Keeping what was rejected: from `events.rejected`, where all services write, into a table that can be searched.

Rows and position are one transaction. A crash at any line keeps a batch once, and a rejection that was published
twice is one row. What names somebody who was erased is dropped and counted: an erasure and a batch exclude each other,
so that it removes the row, or the batch meets its hashes.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain.mentions import aliases_in, contacts_in
from services.ingest.store.erasures import ErasureStore
from services.ingest.store.rejections import RejectionStore
from shared.events.rejected import Place, Rejected, decode_rejected, rejected_by
from shared.events.touch import Alias
from shared.ids import ContactId
from shared.log.records import Batch, StoredRecord
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

UNREADABLE = "unreadable"


class Keeping:
    """Handles batches of `events.rejected`."""

    def __init__(
        self, rejections: RejectionStore, positions: Positions, *, erasures: ErasureStore, metrics: Metrics
    ) -> None:
        self._rejections = rejections
        self._positions = positions
        self._erasures = erasures
        self._metrics = metrics

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Keep what is in the batches, and move past them. Raises PositionLost."""
        await self._keep(batches, [_read(record) for batch in batches for record in batch.records])

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the single record of the batch as it is: there is no further topic to set it aside on."""
        await self._keep([batch], [_unreadable(record, error) for record in batch.records])

    async def _keep(self, batches: Sequence[Batch], seen: Sequence[tuple[Rejected, datetime]]) -> None:
        async with self._positions.transaction(batches) as connection:
            await self._erasures.share_rejections(connection)
            kept = await self._of_the_living(connection, seen)
            await self._rejections.keep(connection, kept)
        self._metrics.erased_dropped.labels("ingest").inc(len(seen) - len(kept))

    async def _of_the_living(
        self, connection: AsyncConnection, seen: Sequence[tuple[Rejected, datetime]]
    ) -> Sequence[tuple[Rejected, datetime]]:
        """Return what names nobody who was erased."""
        if not await self._erasures.any(connection):
            return seen
        named: list[tuple[set[Alias], set[ContactId]]] = []
        for rejected, _ in seen:
            named.append((aliases_in(rejected), contacts_in(rejected)))
            await asyncio.sleep(0)  # a large one takes its time
        met = await self._erasures.met(
            connection,
            {alias for aliases, _ in named for alias in aliases},
            {contact for _, contacts in named for contact in contacts},
        )
        return [
            one
            for one, (aliases, contacts) in zip(seen, named, strict=True)
            if met.aliases.isdisjoint(aliases) and met.contacts.isdisjoint(contacts)
        ]


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
