"""Reading the log on Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.log.claims import Claims, Standing
from shared.log.errors import LogUnavailable
from shared.log.kafka_member import KafkaMember
from shared.log.kafka_producer import Producing
from shared.log.protocol import FETCH_BYTES, ClaimPosition
from shared.log.records import Batch, Partition, StoredRecord
from shared.stopping import wait_for_any

USUAL_BYTES = 16 << 10  # of a record, before any was seen
BOUNDS_TIMEOUT = timedelta(seconds=5)
GRACE = timedelta(milliseconds=100)  # aiokafka keeps the time itself, except during a rebalance
FAILURE_PAUSE = timedelta(milliseconds=100)

Found = Mapping[TopicPartition, Sequence[ConsumerRecord]]


class KafkaConsumer:
    """One member of a group."""

    def __init__(
        self,
        brokers: Mapping[str, Any],
        producing: Producing,
        *,
        client_id: str,
        group: str,
        names: Sequence[str],
        claim: ClaimPosition,
    ) -> None:
        self._group = group
        self._claims = Claims(group, claim=claim, bounds=self._bounds, ready=self._ready)
        self._member = KafkaMember(
            brokers,
            client_id=client_id,
            group=group,
            names=names,
            count_partitions=producing.partitions,
            taken=self._claims.take,
            lost=self._claims.drop,
        )
        self._usual_bytes = USUAL_BYTES
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._logger = structlog.get_logger().bind(group=group)

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["KafkaConsumer"]:
        """Join the group, and leave it at the end."""
        self._tasks = (
            asyncio.create_task(self._member.run()),
            asyncio.create_task(self._member.keep_mirrored()),
        )
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._claims.close()

    async def fetch(self, *, max_records: int, max_bytes: int = FETCH_BYTES, timeout: timedelta) -> list[Batch]:
        """Return what is there, or [] after the timeout."""
        deadline = monotonic() + timeout.total_seconds()
        while True:
            self._raise_what_is_final()
            left = timedelta(seconds=max(0.0, deadline - monotonic()))
            if self._member.consumer and self._member.settled.is_set():
                batches = self._batches(await self._drain(self._member.consumer, max_records, max_bytes, left))
                if batches:
                    return batches
                self._member.check()
            else:
                await wait_for_any(self._member.settled, timeout=left)
            if monotonic() >= deadline:
                return []

    def rewind(self, partition: Partition) -> None:
        """Read the partition again from its stored position."""
        self._member.pause(partition)
        self._claims.rewind(partition)

    async def mirror(self, batches: Sequence[Batch]) -> None:
        """Have the positions committed to Kafka within a second."""
        self._member.mirror({TopicPartition(*batch.partition): batch.next_position for batch in batches})

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that are being read."""
        return frozenset(self._claims.standings())

    def stalled(self) -> tuple[str, ...]:
        """Return a line for each partition that stands still, and one for a group that cannot be joined."""
        trouble = (self._member.trouble,) if self._member.trouble else ()
        return *trouble, *self._claims.stalled()

    def _raise_what_is_final(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()
        if self._member.missing:
            raise self._member.missing

    async def _bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        consumer = self._member.consumer
        if consumer is None:
            raise LogUnavailable("The group was left.")
        where = [TopicPartition(*partition) for partition in partitions]
        try:
            async with asyncio.timeout(BOUNDS_TIMEOUT.total_seconds()):
                earliest = await consumer.beginning_offsets(where)
                end = await consumer.end_offsets(where)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka does not tell what {len(where)} partitions hold: {error!r}") from error
        return {partition: (earliest[partition], end[partition]) for partition in partitions}

    def _ready(self, partition: Partition, standing: Standing) -> None:
        self._member.read(partition, standing.position)

    async def _drain(self, consumer: AIOKafkaConsumer, max_records: int, max_bytes: int, wait: timedelta) -> Found:
        """Take what was fetched, in portions of the usual size: only the first is waited for."""
        found: dict[TopicPartition, list[ConsumerRecord]] = defaultdict(list)
        count = size = 0
        while count < max_records and size < max_bytes and self._member.settled.is_set():
            portion = max(1, min(max_records - count, (max_bytes - size) // self._usual_bytes))
            taken = await self._take(consumer, portion, wait)
            if not taken:
                break
            wait = timedelta()
            for partition, records in taken.items():
                found[partition] += records
                count += len(records)
                size += sum(record.serialized_value_size for record in records)
            self._usual_bytes = max(1, size // count)
        return found

    async def _take(self, consumer: AIOKafkaConsumer, portion: int, wait: timedelta) -> Found:
        try:
            async with asyncio.timeout((wait + GRACE).total_seconds()):
                taken: Found = await consumer.getmany(timeout_ms=int(wait.total_seconds() * 1000), max_records=portion)
                return taken
        except OffsetOutOfRangeError as error:
            for partition in error.args[0]:
                self.rewind(Partition(*partition))  # the claim tells whether the position can still be read
        except (NoOffsetForPartitionError, TimeoutError):
            pass
        except (KafkaError, ConsumerStoppedError) as error:
            self._logger.warning("fetch.waits", reason=repr(error))
            self._member.check(error)
            await asyncio.sleep(FAILURE_PAUSE.total_seconds())
        return {}

    def _batches(self, found: Found) -> list[Batch]:
        batches = []
        for where, records in found.items():
            partition = Partition(where.topic, where.partition)
            standing = self._claims.standing(partition)
            if standing and records[-1].offset >= standing.position:
                batches.append(self._batch(partition, standing, records))
        return batches

    def _batch(self, partition: Partition, standing: Standing, records: Sequence[ConsumerRecord]) -> Batch:
        position = standing.position
        standing.position = records[-1].offset + 1
        stored = []
        stamp, appended_at = -1, datetime.min.replace(tzinfo=UTC)
        for record in records:
            if record.offset < position:
                continue
            if record.timestamp != stamp:  # the records of one append share it
                stamp, appended_at = record.timestamp, datetime.fromtimestamp(record.timestamp / 1000, UTC)
            stored.append(
                StoredRecord(partition, record.offset, record.key, record.value or b"", record.headers, appended_at)
            )
        return Batch(
            group=self._group,
            partition=partition,
            epoch=standing.epoch,
            position=position,
            next_position=standing.position,
            records=tuple(stored),
        )
