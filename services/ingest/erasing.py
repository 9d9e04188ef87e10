"""Erasing: ingest forgets who the aliases of an erased contact were, and remembers that they were erased.

A fetch of `contacts` is one transaction with its position, and doing it again changes nothing.
"""

from collections.abc import Sequence

import structlog

from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.record import origin_of, text_headers
from services.ingest.packing import pack_rejection
from services.ingest.store.erasures import ErasureStore
from shared.events.contact import ContactErased, decode_contact
from shared.events.topics import TopicName
from shared.log.protocol import EventLog
from shared.log.records import Batch, Record, StoredRecord
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics


class Erasing:
    """Handles fetches of `contacts`."""

    def __init__(self, *, log: EventLog, erasures: ErasureStore, positions: Positions, metrics: Metrics) -> None:
        self._log = log
        self._erasures = erasures
        self._positions = positions
        self._metrics = metrics
        self._logger = structlog.get_logger().bind(worker="ingest.erasures")

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Erase the contacts that the records name; what else `contacts` tells came from here. Raises PositionLost."""
        erasures: list[ContactErased] = []
        rejected: list[Record] = []
        for record in (record for batch in batches for record in batch.records):
            try:
                message = decode_contact(record.value)
            except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
                rejected.append(_keep(record, str(error)))
                continue
            if isinstance(message, ContactErased) and message.contact_ids:
                erasures.append(message)
        await self._reject(rejected)
        async with self._positions.transaction(batches) as connection:
            for erased in erasures:
                await self._erasures.forget_rejections(connection, erased.contact_ids)
            forgotten = [await self._erasures.erase(connection, erased) for erased in erasures]
        for erased, aliases in zip(erasures, forgotten, strict=True):
            self._logger.info("contact.erased", erasure=str(erased.id), aliases=aliases)

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep a record that broke the handler, and move past it."""
        reason = f"{type(error).__name__}: {error}"
        await self._reject([_keep(record, reason) for record in batch.records])
        async with self._positions.transaction([batch]):
            pass  # the record is in the log; keeping it twice would have been harmless

    async def _reject(self, rejected: Sequence[Record]) -> None:
        await self._log.append(TopicName.EVENTS_REJECTED, rejected)
        for _ in rejected:
            self._metrics.events_rejected.labels(Reason.UNPROCESSABLE).inc()


def _keep(record: StoredRecord, message: str) -> Record:
    headers = text_headers(record.headers)
    origin = origin_of(
        headers,
        topic=record.partition.topic,
        partition=record.partition.number,
        offset=record.offset,
        appended_at=record.appended_at,
        now=record.appended_at,
    )
    return pack_rejection(Rejection(Reason.UNPROCESSABLE, message[:1000], record.value), origin, headers)
