"""Reading the log on Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.log.absences import Absences
from shared.log.claims import Claims, Standing
from shared.log.errors import LogUnavailable
from shared.log.kafka_member import KafkaMember
from shared.log.kafka_producer import Producing
from shared.log.kafka_records import instant, unreadable
from shared.log.protocol import FETCH_BYTES, ClaimPosition
from shared.log.records import Batch, Partition, StoredRecord
from shared.stopping import wait_for_any

USUAL_BYTES = 16 << 10  # of a record, before any was seen
BOUNDS_TIMEOUT = timedelta(seconds=5)
GRACE = timedelta(milliseconds=100)  # aiokafka keeps the time itself, except during a rebalance
FAILURE_PAUSE = timedelta(milliseconds=100)
PROBE = timedelta(seconds=1)  # for one partition to hand out its next record
SINGLY_AT_MOST = 5_000  # records; what could not be read may have gone to another member meanwhile

Found = Mapping[TopicPartition, Sequence[ConsumerRecord]]


class _Care(Enum):
    """How records are taken, while one is ahead that aiokafka cannot read.

    It raises instead of handing out what it has read before that record; so what is read up to there is taken singly.
    """

    NONE = auto()
    SINGLY = auto()
    PROBE = auto()  # the record is the next one of one of the partitions


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
        optional: Sequence[str],
        absences: Absences,
        claim: ClaimPosition,
    ) -> None:
        self._group = group
        self._absences = absences
        self._claims = Claims(group, claim=claim, bounds=self._bounds, ready=self._ready)
        self._member = KafkaMember(
            brokers,
            client_id=client_id,
            group=group,
            names=names,
            optional=optional,
            absences=absences,
            count_partitions=producing.partitions,
            find_topics=producing.existing,
            taken=self._claims.take,
            lost=self._claims.drop,
        )
        self._usual_bytes = USUAL_BYTES
        self._care = _Care.NONE
        self._singly = 0  # records still to be taken one by one
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
                consumer = self._member.consumer
                found = await self._drain(consumer, max_records, max_bytes, left)
                batches = self._batches(found, await self._reached(consumer))
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

    def absent(self) -> frozenset[str]:
        """Return the optional topics that are not there."""
        return self._absences.of(self._group)

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
        # Whoever had the partition may have been gone before it was told, and nothing more may come.
        self._member.mirror({TopicPartition(*partition): standing.position})

    async def _drain(self, consumer: AIOKafkaConsumer, max_records: int, max_bytes: int, wait: timedelta) -> Found:
        """Take what was fetched, in portions of the usual size: only the first is waited for."""
        found: dict[TopicPartition, list[ConsumerRecord]] = defaultdict(list)
        count = size = 0
        while count < max_records and size < max_bytes and self._member.settled.is_set():
            portion = max(1, min(max_records - count, (max_bytes - size) // self._usual_bytes))
            care = self._care
            if care is _Care.PROBE:
                taken = await self._probe(consumer)
            else:
                taken = await self._take(consumer, self._portion(portion), wait)
            if not taken:
                break
            wait = timedelta()
            for partition, records in taken.items():
                found[partition] += records
                count += len(records)
                size += sum(record.serialized_value_size for record in records)
            self._usual_bytes = max(1, size // count)
            if care is _Care.SINGLY and self._care is _Care.NONE:
                break  # taking more at once may fail, and what was found would go with it
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
        except UnicodeDecodeError:  # the name of a header is not UTF-8; Kafka does not mind
            if self._care is _Care.SINGLY:
                self._care = _Care.PROBE
            else:
                self._care, self._singly = _Care.SINGLY, SINGLY_AT_MOST
                self._take_again()
        except (KafkaError, ConsumerStoppedError) as error:
            self._take_again()
            if isinstance(error, TopicAuthorizationFailedError) and self._member.refused(error.args):
                return {}
            self._logger.warning("fetch.waits", reason=repr(error))
            self._member.check(error)
            await asyncio.sleep(FAILURE_PAUSE.total_seconds())
        return {}

    def _portion(self, usual: int) -> int:
        """Return how many records to take at once; each that is taken singly is progress, however often that begins."""
        if self._care is not _Care.SINGLY:
            return usual
        self._singly -= 1
        if self._singly <= 0:
            self._care = _Care.NONE
        return 1

    def _take_again(self) -> None:
        """Claim every partition again: of what aiokafka had read when it failed nobody knows how much is lost."""
        for partition in self._claims.standings():
            self.rewind(partition)

    async def _probe(self, consumer: AIOKafkaConsumer) -> Found:
        """Take the next record of each partition; one that cannot be read is taken as an empty one that says why."""
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        self._care = _Care.NONE  # if it is not met now, it is once more, or by another member
        for partition, standing in self._claims.standings().items():
            where = TopicPartition(*partition)
            self._member.read(partition, standing.position)
            try:
                async with asyncio.timeout((PROBE + GRACE).total_seconds()):
                    found |= await consumer.getmany(where, timeout_ms=int(PROBE.total_seconds() * 1000), max_records=1)
            except UnicodeDecodeError as error:
                self._logger.warning("record.unreadable", partition=str(partition), offset=standing.position)
                found[where] = [unreadable(where, standing.position, error)]
                self._member.read(partition, standing.position + 1)
            except (KafkaError, ConsumerStoppedError, TimeoutError):
                self._take_again()
                return {}
        return found

    async def _reached(self, consumer: AIOKafkaConsumer) -> dict[Standing, int]:
        """Return where aiokafka reads on: behind what it handed out, and behind what nobody is to see after that.

        Transactions leave marks in the log, and what they gave up. A position that waited before them would seem to
        have missed something once retention has passed them.
        """
        reached: dict[Standing, int] = {}
        with suppress(IllegalStateError, TimeoutError):  # dealt anew meanwhile
            async with asyncio.timeout(GRACE.total_seconds()):
                for partition, standing in self._claims.standings().items():
                    reached[standing] = await consumer.position(TopicPartition(*partition))
        return reached

    def _batches(self, found: Found, reached: Mapping[Standing, int]) -> list[Batch]:
        """Return the batches with records; where there are none, those that only pass over something."""
        batches, passing = [], []
        for partition, standing in self._claims.standings().items():
            records = found.get(TopicPartition(*partition), ())
            if records and records[-1].offset >= standing.position:
                after = max(records[-1].offset + 1, reached.get(standing, 0))
                batches.append(self._batch(partition, standing, records, after))
            elif reached.get(standing, 0) > standing.position:
                passing.append((partition, standing))
        return batches or [self._batch(partition, standing, (), reached[standing]) for partition, standing in passing]

    def _batch(self, partition: Partition, standing: Standing, records: Sequence[ConsumerRecord], after: int) -> Batch:
        position = standing.position
        standing.position = after
        stored = []
        stamp, appended_at = -1, datetime.min.replace(tzinfo=UTC)
        for record in records:
            if record.offset < position:
                continue
            if record.timestamp != stamp:  # the records of one append share it
                stamp, appended_at = record.timestamp, instant(record.timestamp)
            value, is_null = record.value or b"", record.value is None
            stored.append(
                StoredRecord(partition, record.offset, record.key, value, record.headers, appended_at, is_null)
            )
        return Batch(
            group=self._group,
            partition=partition,
            epoch=standing.epoch,
            position=position,
            next_position=standing.position,
            records=tuple(stored),
        )
