"""From raw records to touches: understand, identify, publish; and only then move on.

Aliases and merges are committed before a touch that rests on them is published, and the position moves after both. A
crash at any line repeats the batch: its aliases are found as they were linked, so the same touches are published under
the same ids; under another contact only if the first one was merged into it meanwhile, of which the scorer is told.
"""

import asyncio
from collections.abc import Mapping, Sequence

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.domain.suspicion import Watch
from services.ingest.domain.understanding import touch_of
from services.ingest.identifying import Identifying
from services.ingest.intake.fields import Limits
from services.ingest.intake.record import (
    OWN_TOPICS,
    UNKEPT,
    MappingOf,
    is_tombstone,
    origin_of,
    read_record,
    text_headers,
    unmapped,
)
from services.ingest.packing import pack_rejection, pack_touches
from shared.clock import Clock, utc_now
from shared.events.topics import TopicName
from shared.events.touch import SourceKind
from shared.log.protocol import EventLog
from shared.log.records import Batch, Record, StoredRecord
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

EVENTS_BETWEEN_BREATHS = 200  # then whoever waits for an answer over HTTP has a turn


class Understanding:
    """Handles batches of `events.web` and `events.campaign`, and of topics of others."""

    def __init__(
        self,
        *,
        log: EventLog,
        identifying: Identifying,
        positions: Positions,
        metrics: Metrics,
        limits: Limits,
        watch: Watch,
        slice_events: int,
        clock: Clock = utc_now,
        kinds: Mapping[str, SourceKind] = OWN_TOPICS,
        mapping_of: MappingOf = unmapped,
    ) -> None:
        self._log = log
        self._identifying = identifying
        self._positions = positions
        self._metrics = metrics
        self._limits = limits
        self._watch = watch
        self._slice_events = slice_events
        self._clock = clock
        self._kinds = kinds
        self._mapping_of = mapping_of

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Publish what is in the batches, then move past them. Raises PositionLost, LogUnavailable."""
        events: list[tuple[Event, Origin]] = []
        rejections: list[tuple[Reason, Record]] = []
        breath = 0
        for record in _as_they_came(batches):
            headers = text_headers(record.headers)
            if is_tombstone(headers, is_null=record.is_null):
                self._metrics.tombstones_passed.inc()
                continue
            origin = self._origin(record, headers)
            for item in read_record(record.value, headers, origin, self._limits, mapping_of=self._mapping_of):
                if isinstance(item, Rejection):
                    rejections.append((item.reason, pack_rejection(item, origin, headers)))
                else:
                    events.append((item, origin))
            if len(events) >= self._slice_events:
                await self._publish(events)
                events = []
                breath = 0
            elif len(events) >= breath + EVENTS_BETWEEN_BREATHS:
                await asyncio.sleep(0)
                breath = len(events)
        await self._publish(events)
        await self._reject(rejections)
        async with self._positions.transaction(batches):
            pass  # the work is in the log; repeating it would have been harmless

    async def set_aside(self, batch: Batch, error: Exception) -> None:
        """Keep the single record of the batch as unprocessable and move past it."""
        for record in batch.records:
            headers = text_headers(record.headers)
            origin = self._origin(record, headers)
            if origin.requires_consent:  # the error may quote the event
                rejection = Rejection(Reason.UNPROCESSABLE, f"{type(error).__name__}. {UNKEPT}", b"")
            else:
                rejection = Rejection(Reason.UNPROCESSABLE, f"{type(error).__name__}: {error}"[:1000], record.value)
            await self._reject([(rejection.reason, pack_rejection(rejection, origin, headers))])
        async with self._positions.transaction([batch]):
            pass  # likewise

    async def _publish(self, events: Sequence[tuple[Event, Origin]]) -> None:
        if not events:
            return
        people = await self._identifying.identify(
            [event.names for event, _ in events], [origin.received_at for _, origin in events]
        )
        touches = [
            (touch_of(event, origin, person, sign=self._watch.sign_of(event)), origin.traceparent)
            for (event, origin), person in zip(events, people, strict=True)
            if person is not None  # was erased
        ]
        partitions = await self._log.partition_count(TopicName.TOUCHES)
        await self._log.append(TopicName.TOUCHES, pack_touches(touches, partitions=partitions))
        self._metrics.touches_published.inc(len(touches))

    async def _reject(self, rejections: Sequence[tuple[Reason, Record]]) -> None:
        await self._log.append(TopicName.EVENTS_REJECTED, [record for _, record in rejections])
        for reason, _ in rejections:
            self._metrics.events_rejected.labels(reason).inc()

    def _origin(self, record: StoredRecord, headers: Mapping[str, str]) -> Origin:
        return origin_of(
            headers,
            topic=record.partition.topic,
            partition=record.partition.number,
            offset=record.offset,
            appended_at=record.appended_at,
            now=self._clock(),
            kinds=self._kinds,
        )


def _as_they_came(batches: Sequence[Batch]) -> list[StoredRecord]:
    """Return the records of all partitions by time: who says who they are is known before others tell of them."""
    return sorted((record for batch in batches for record in batch.records), key=lambda record: record.appended_at)
