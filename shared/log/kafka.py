"""The log on Kafka: how production runs, and how it grows past one machine."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaError,
    NotControllerError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.structs import TopicPartition

from shared.log.absences import Absences
from shared.log.errors import LogError, LogUnavailable
from shared.log.kafka_consumer import KafkaConsumer
from shared.log.kafka_producer import Producing
from shared.log.kafka_security import IN_THE_OPEN, KafkaSecurity
from shared.log.placement import MAX_RECORD_BYTES
from shared.log.protocol import ClaimPosition, Consumer, EventLog
from shared.log.records import Partition, Record, Topic

ADMIN_TIMEOUT = timedelta(seconds=30)
REQUEST_TIMEOUT_MS = 10_000  # the shorter one, so that aiokafka ends what it began
REACHABLE_TIMEOUT = timedelta(seconds=2)
BROKERS_DEFAULT = -1  # replicas, as the brokers are configured
MOST_REPLICAS = 3


@asynccontextmanager
async def open_kafka_log(
    bootstrap: str,
    *,
    client_id: str,
    append_timeout: timedelta = timedelta(seconds=5),
    security: KafkaSecurity = IN_THE_OPEN,
) -> AsyncIterator[EventLog]:
    """Open the log on the brokers; they may be away. Raises KafkaSecurityError."""
    brokers = {"bootstrap_servers": bootstrap, **security.client_arguments()}
    producing = Producing(brokers, client_id=client_id, timeout=append_timeout)
    try:
        yield KafkaLog(brokers, producing, client_id=client_id)
    finally:
        await producing.close()


class KafkaLog:
    """The log on one cluster."""

    def __init__(self, brokers: Mapping[str, Any], producing: Producing, *, client_id: str) -> None:
        self._brokers = brokers
        self._producing = producing
        self._client_id = client_id
        self._absences = Absences()

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing and wait until it can be written to."""
        admin = AIOKafkaAdminClient(**self._brokers, client_id=self._client_id, request_timeout_ms=REQUEST_TIMEOUT_MS)
        try:
            async with asyncio.timeout(ADMIN_TIMEOUT.total_seconds()):
                await admin.start()
                missing = await _create(admin, topics, replicas=BROKERS_DEFAULT)
                if missing:
                    brokers = len((await admin.describe_cluster())["brokers"])
                    missing = await _create(admin, missing, replicas=min(MOST_REPLICAS, brokers))
                if missing:
                    raise LogError(f"Kafka refuses any number of replicas for {missing[0].name}.")
                await _wait_for_leaders(admin, topics)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka did not create the topics: {error!r}") from error
        finally:
            await admin.close()

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions."""
        return await self._producing.partitions(topic)

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the earliest offset held and the next one to be given."""
        await self._producing.partitions(partition.topic)
        where = TopicPartition(*partition)
        reader = AIOKafkaConsumer(
            **self._brokers,
            client_id=self._client_id,
            isolation_level="read_committed",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            async with asyncio.timeout(ADMIN_TIMEOUT.total_seconds()):
                await reader.start()
                earliest = await reader.beginning_offsets([where])
                end = await reader.end_offsets([where])
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(f"Kafka does not tell what {partition} holds: {error!r}") from error
        finally:
            await reader.stop()
        return earliest[where], end[where]

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Return when all in-sync replicas have the records."""
        await self._producing.append(topic, records)

    def consume(
        self, group: str, topics: Sequence[str], claim: ClaimPosition, *, optional: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Consumer]:
        """Join the group."""
        return KafkaConsumer(
            self._brokers,
            self._producing,
            client_id=self._client_id,
            group=group,
            names=topics,
            optional=optional,
            absences=self._absences,
            claim=claim,
        ).joined()

    async def reachable(self) -> bool:
        """Tell whether a broker answers."""
        try:
            async with asyncio.timeout(REACHABLE_TIMEOUT.total_seconds()):
                producer = await self._producing.current()
                return bool(await producer.client.force_metadata_update())
        except (LogUnavailable, KafkaError, TimeoutError):
            return False


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], *, replicas: int) -> list[Topic]:
    """Create the topics; return those for which the brokers refuse the number of replicas."""
    by_name = {topic.name: topic for topic in topics}
    refused = []
    while by_name:
        response = await admin.create_topics([_new_topic(topic, replicas) for topic in by_name.values()])
        for name, code, *_ in response.topic_errors:
            match for_code(code)():
                case InvalidReplicationFactorError():
                    refused.append(by_name.pop(name))
                case NotControllerError() | RequestTimedOutError():
                    await asyncio.sleep(0.1)
                case TopicAlreadyExistsError():
                    del by_name[name]
                case error if code:
                    raise error
                case _:
                    del by_name[name]
    return refused


def _new_topic(topic: Topic, replicas: int) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.partitions,
        replicas,
        replica_assignments={},  # aiokafka takes -1 replicas only beside this
        topic_configs={
            # The log's clock, so that an old or a future event is neither forgotten at once nor refused.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(topic.retention_hours * 3_600_000),
            "max.message.bytes": str(MAX_RECORD_BYTES + (64 << 10)),
        },
    )


async def _wait_for_leaders(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    names = [topic.name for topic in topics]
    while True:
        described = await admin.describe_topics(names)
        if all(
            topic["error_code"] == 0 and all(partition["leader"] >= 0 for partition in topic["partitions"])
            for topic in described
        ):
            return
        await asyncio.sleep(0.05)
