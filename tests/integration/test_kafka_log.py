"""What the log on Kafka promises beyond the contract of both backends."""

from collections.abc import AsyncIterator
from datetime import timedelta
from struct import pack
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import TopicPartition
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.events.rejected import UNREADABLE_HEADER
from shared.log.kafka import open_kafka_log
from shared.log.kafka_consumer import SINGLY_AT_MOST
from shared.log.protocol import EventLog
from shared.log.records import Claim, Partition, Record, Topic
from shared.postgres.positions import Positions
from tests.support.reading import Member, member, read_batches, times_handled
from tests.support.trial import engine, positions
from tests.support.waiting import until

__all__ = ["engine", "positions"]


@pytest_asyncio.fixture
async def log(kafka_bootstrap: str) -> AsyncIterator[EventLog]:
    """The log on the shared broker."""
    async with open_kafka_log(kafka_bootstrap, client_id="trial", append_timeout=timedelta(seconds=5)) as opened:
        yield opened


@pytest_asyncio.fixture
async def admin(kafka_bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Kafka as its operators see it."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await client.start()
    yield client
    await client.close()


@pytest_asyncio.fixture
async def topic(log: EventLog) -> str:
    """A topic with two partitions."""
    name = f"topic-{uuid4().hex}"
    await log.create_topics([Topic(name, partitions=2, retention_hours=5)])
    return name


async def from_the_beginning(_group: str, _partition: Partition, earliest: int, _end: int) -> Claim:
    return Claim(1, earliest)


async def from_the_end(_group: str, _partition: Partition, _earliest: int, end: int) -> Claim:
    return Claim(1, end)


async def is_mirrored(admin: AIOKafkaAdminClient, group: str, partition: TopicPartition, offset: int) -> bool:
    """Tell whether Kafka shows the group at the offset."""
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    except KafkaError:
        return False
    return partition in offsets and offsets[partition].offset == offset


async def test_operators_see_how_far_a_group_is(log: EventLog, topic: str, admin: AIOKafkaAdminClient) -> None:
    """Kafka's own tools and autoscalers show the lag, from the mirrored positions."""
    group, partition = f"group-{topic}", TopicPartition(topic, 1)
    await log.append(topic, [Record(b"", partition=1)] * 5)
    async with log.consume(group, [topic], from_the_beginning) as consumer:
        await consumer.mirror(await read_batches(consumer, 3, max_records=3))
        await log.append(topic, [Record(b"", partition=1)] * 5)

        await until(lambda: is_mirrored(admin, group, partition, 3))
        await consumer.mirror(await read_batches(consumer, 7))
    what = "the last positions are mirrored when the group is left"
    await until(lambda: is_mirrored(admin, group, partition, 10), what=what)


async def test_operators_see_where_an_idle_partition_stands(
    log: EventLog, topic: str, admin: AIOKafkaAdminClient
) -> None:
    """Whoever takes it over tells Kafka: the one before may have died just before it did, and nothing more may come."""
    await log.append(topic, [Record(b"", partition=1)] * 5)
    async with log.consume(f"group-{topic}", [topic], from_the_end):
        await until(lambda: is_mirrored(admin, f"group-{topic}", TopicPartition(topic, 1), 5))


@pytest.mark.parametrize(
    ("name", "value"), [("message.timestamp.type", "LogAppendTime"), ("retention.ms", str(5 * 3600 * 1000))]
)
async def test_topics_keep_the_clock_of_the_log(topic: str, admin: AIOKafkaAdminClient, name: str, value: str) -> None:
    """An event of last year is not forgotten at once, and one from the future is not refused."""
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}

    assert entries[name] == value


async def send_with_a_name_that_is_no_text(bootstrap: str, topic: str, *, partition: int) -> None:
    """Send a record as producers in other languages can: one of its headers has a name that is not UTF-8."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=None, value=b"itself", headers=[("name", b"value")])
        batch.close()
        written = bytearray(batch._build())  # our own client writes nothing else than text
        written[:] = written.replace(b"name", b"\xff\xfe\xfd\xfc")
        written[17:21] = pack("!I", calc_crc32c(bytes(written[21:])))
        batch._buffer = written
        await (await producer.send_batch(batch, topic, partition=partition))


async def test_a_record_that_cannot_be_read_takes_no_neighbour_along(
    log: EventLog, topic: str, kafka_bootstrap: str
) -> None:
    """Others write to the topics, too: such a record comes as an empty one with the reason, the rest as it is."""
    await log.append(topic, [Record(b"before %d" % number, partition=number % 2) for number in range(20)])
    await send_with_a_name_that_is_no_text(kafka_bootstrap, topic, partition=1)
    await log.append(topic, [Record(b"after %d" % number, partition=number % 2) for number in range(20)])

    async with log.consume(f"group-{topic}", [topic], from_the_beginning) as consumer:
        batches = await read_batches(consumer, 41)

    records = [record for batch in batches for record in batch.records]
    wanted = [b"%s %d" % (side, number) for side in (b"before", b"after") for number in range(20)]
    assert sorted(record.value for record in records) == sorted([b"", *wanted])
    (unreadable,) = [record for record in records if not record.value]
    assert (unreadable.partition.number, unreadable.offset) == (1, 10)
    assert b"not UTF-8" in (unreadable.header(UNREADABLE_HEADER) or b"")
    for number in (0, 1):
        offsets = [record.offset for record in records if record.partition.number == number]
        assert offsets == sorted(set(offsets))


async def test_a_record_that_cannot_be_read_far_ahead(
    log: EventLog, topic: str, kafka_bootstrap: str, engine: AsyncEngine, positions: Positions
) -> None:
    """Taking records singly ends before it is reached; what was taken is handed out before more is risked."""
    before = SINGLY_AT_MOST + 1_000
    await log.append(topic, [Record(b"x", partition=1)] * before)
    await send_with_a_name_that_is_no_text(kafka_bootstrap, topic, partition=1)
    await log.append(topic, [Record(b"x", partition=1)] * 10)
    group = f"group-{topic}"

    async with log.consume(group, [topic], positions.claim) as consumer:
        reader = Member("reader", consumer, positions)

        async def all_handled() -> bool:
            if batches := await consumer.fetch(max_records=3 * SINGLY_AT_MOST, timeout=timedelta(milliseconds=100)):
                await reader.handle(batches)
            return len(await times_handled(engine, group)) == before + 11

        await until(all_handled, seconds=30)
    assert set((await times_handled(engine, group)).values()) == {1}


async def test_a_partition_moves_away_with_a_record_that_cannot_be_read(
    log: EventLog, topic: str, kafka_bootstrap: str, engine: AsyncEngine, positions: Positions
) -> None:
    """Whoever has the partition then meets the record: each is handled once, and none holds up the others."""
    for number in (0, 1):
        await log.append(topic, [Record(b"x", partition=number)] * 10)
        await send_with_a_name_that_is_no_text(kafka_bootstrap, topic, partition=number)
        await log.append(topic, [Record(b"x", partition=number)] * 10)
    group = f"group-{topic}"

    async with log.consume(group, [topic], positions.claim) as consumer:
        first = Member("first", consumer, positions)
        batches = await read_batches(consumer, 1)
        await first.handle(batches)
        met = [record for batch in batches for record in batch.records if not record.value]
        assert not met, "it is the next one"
        async with member("second", log, group, topic, positions):

            async def shared() -> bool:
                return len(consumer.assigned()) == 1

            async def all_handled() -> bool:
                if batches := await consumer.fetch(max_records=50, timeout=timedelta(milliseconds=100)):
                    await first.handle(batches)
                return len(await times_handled(engine, group)) == 42

            await until(shared, seconds=60, what="the second has a partition")
            await until(all_handled, seconds=60)
    assert set((await times_handled(engine, group)).values()) == {1}
