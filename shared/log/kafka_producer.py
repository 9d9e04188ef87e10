"""Appends to the log on Kafka, through one idempotent producer that all callers share.

aiokafka's idempotent producer never gives a batch up and cannot go on after some errors: sequence numbers are spent
when a batch is sent, and there is no way to begin anew. So a producer on which an append ran out of time or failed is
retired, and the next append starts another. What the retired one still had is stored or not: its callers were told so.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed, UnknownTopicOrPartitionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import RecordMetadata

from shared.log.errors import LogError, LogUnavailable, RecordTooLarge, TopicMissing
from shared.log.placement import MAX_RECORD_BYTES, check_sizes, place
from shared.log.records import Record

BATCH_BYTES = 512 << 10  # before compression; brokers take 1 MiB unless told otherwise
BATCH_FROM = 32  # records: fewer go one by one, so that they share batches with those of other callers
FLUSH_TIMEOUT = timedelta(seconds=1)  # for a retired producer to finish what others have in flight
LOOKUPS = 5  # a topic just created is not known to every broker at once
LOOKUP_PAUSE = timedelta(milliseconds=100)
METADATA_AGE = timedelta(minutes=1)

Acknowledgement = asyncio.Future[RecordMetadata]


class Producing:
    """The producer of the moment."""

    def __init__(self, brokers: Mapping[str, Any], *, client_id: str, timeout: timedelta) -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._timeout = timeout
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._logger = structlog.get_logger()

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Return when all in-sync replicas have the records."""
        check_sizes(topic, records)
        producer: AIOKafkaProducer | None = None
        acknowledgements: list[Acknowledgement] = []
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                producer = await self.current()
                await self._send(producer, topic, records, acknowledgements)
                for acknowledgement in acknowledgements:
                    await acknowledgement
        except (TimeoutError, KafkaError) as error:
            self._retire(producer, acknowledgements)
            raise _translated(error, topic) from error

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions. Raises TopicMissing, LogUnavailable within the timeout."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                return len(await _partitions((await self.current()).client, topic))
        except (TimeoutError, KafkaError) as error:
            raise LogUnavailable(f"Kafka does not answer: {error!r}") from error

    async def existing(self, topics: Sequence[str]) -> frozenset[str]:
        """Return those of the topics that are there and may be seen, without creating any. Raises LogUnavailable."""
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                client = (await self.current()).client
                request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
                answer = await client.send(client.get_random_node(), request)
        except (TimeoutError, KafkaError) as error:
            raise LogUnavailable(f"Kafka does not answer: {error!r}") from error
        return frozenset(name for code, name, _internal, _partitions in answer.topics if code == 0)

    async def current(self) -> AIOKafkaProducer:
        """Return the producer, starting it if there is none. Raises LogUnavailable."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        try:
            # Shielded: one caller's end of patience is not the end of the start that others wait for.
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise LogUnavailable("The log is closed.") from None
            raise
        except (KafkaError, OSError) as error:
            if self._starting is starting:
                self._starting = None
            raise LogUnavailable(f"Kafka cannot be reached: {error!r}") from error

    async def close(self) -> None:
        """Flush and stop, within the timeout."""
        starting, self._starting = self._starting, None
        if starting:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            if producer := _started(starting):
                await _stop(producer, flush=self._timeout)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _start(self) -> AIOKafkaProducer:
        milliseconds = int(self._timeout.total_seconds() * 1000)
        producer = AIOKafkaProducer(
            **self._brokers,
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=0,  # batches fill while the one before is in flight; waiting more costs an idle log its latency
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES + (64 << 10),
            request_timeout_ms=milliseconds,
            metadata_max_age_ms=int(METADATA_AGE.total_seconds() * 1000),
        )
        try:
            await producer.start()
        except BaseException:
            await _stop(producer, flush=timedelta())
            raise
        return producer

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, records: Sequence[Record], acknowledgements: list[Acknowledgement]
    ) -> None:
        partitions = await _partitions(producer.client, topic)
        available = producer.client.cluster.available_partitions_for_topic(topic) or partitions
        numbers = place(records, partitions=len(partitions), anywhere=random.choice(tuple(available)))
        by_partition: dict[int, list[Record]] = defaultdict(list)
        for number, record in zip(numbers, records, strict=True):
            by_partition[number].append(record)
        for number, group in by_partition.items():
            if len(group) >= BATCH_FROM:
                await _send_batches(producer, topic, number, group, acknowledgements)
                continue
            for record in group:
                headers = list(record.headers)
                sent = await producer.send(topic, record.value, record.key, partition=number, headers=headers)
                acknowledgements.append(sent)

    def _retire(self, producer: AIOKafkaProducer | None, acknowledgements: Sequence[Acknowledgement]) -> None:
        for acknowledgement in acknowledgements:
            acknowledgement.add_done_callback(_look_at)
        if producer and producer is _started(self._starting):
            self._starting = None
            self._logger.warning("producer.retired")
            retiring = asyncio.create_task(_stop(producer, flush=FLUSH_TIMEOUT))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)


def _started(starting: asyncio.Task[AIOKafkaProducer] | None) -> AIOKafkaProducer | None:
    """Return the producer, None while its start is under way and when it failed."""
    if starting is None or not starting.done() or starting.cancelled() or starting.exception():
        return None
    return starting.result()


async def _partitions(client: AIOKafkaClient, topic: str) -> frozenset[int]:
    known = client.cluster.partitions_for_topic(topic)
    for _ in range(LOOKUPS):
        if known:
            return frozenset(known)
        client.add_topic(topic)
        if not await client.force_metadata_update():
            raise LogUnavailable("Kafka does not tell which topics there are.")
        known = client.cluster.partitions_for_topic(topic)
        if not known:
            await asyncio.sleep(LOOKUP_PAUSE.total_seconds())
    raise TopicMissing(topic)


async def _send_batches(
    producer: AIOKafkaProducer,
    topic: str,
    number: int,
    records: Sequence[Record],
    acknowledgements: list[Acknowledgement],
) -> None:
    """Fill whole batches: a fifth of the time that sending one by one takes."""
    batch = producer.create_batch()
    for record in records:
        headers = list(record.headers)
        if batch.append(key=record.key, value=record.value, timestamp=None, headers=headers) is None:
            acknowledgements.append(await producer.send_batch(batch, topic, partition=number))
            batch = producer.create_batch()
            batch.append(key=record.key, value=record.value, timestamp=None, headers=headers)
    batch.close()
    acknowledgements.append(await producer.send_batch(batch, topic, partition=number))


async def _stop(producer: AIOKafkaProducer, *, flush: timedelta) -> None:
    """Stop a producer whose broker may be away: what it cannot deliver in time it must give up, or it never ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(flush.total_seconds()):
            await producer.flush()
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - aiokafka has no way to give up
    with suppress(KafkaError, KeyError, TimeoutError):
        await producer.stop()


def _translated(error: Exception, topic: str) -> LogError:
    match error:
        case MessageSizeTooLargeError():
            return RecordTooLarge(f"The topic {topic} does not take a record that large.")
        case UnknownTopicOrPartitionError():
            return TopicMissing(topic)
        case _:
            return LogUnavailable(f"Kafka did not acknowledge the records: {error!r}")


def _look_at(acknowledgement: Acknowledgement) -> None:
    """Take the outcome that nobody waits for, so that asyncio does not complain about it."""
    if not acknowledgement.cancelled():
        acknowledgement.exception()
