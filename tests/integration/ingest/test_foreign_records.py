"""Records that other producers write, on a real Kafka: as their clients write them, on our topics and on their own."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.structs import TopicPartition
from cloudevents.core.bindings import kafka
from cloudevents.core.v1.event import CloudEvent

from services.ingest.store.tables import position
from shared.events.topics import TopicName
from shared.events.touch import Touch
from shared.log.kafka import open_kafka_log
from shared.log.postgres import open_postgres_log
from shared.log.records import Partition, Record, Topic
from shared.postgres.engine import open_engine
from shared.postgres.positions import Positions
from tests.integration.ingest.installed import Ingest, open_test_ingest
from tests.support.waiting import until

CODECS = ("gzip", "snappy", "lz4", "zstd", None)


@dataclass(frozen=True, slots=True)
class Foreign:
    """Ingest that reads a topic of others, which is not there yet."""

    ingest: Ingest
    topic: str
    bootstrap: str
    admin: AIOKafkaAdminClient

    async def create(self) -> None:
        """Create the topic as its owner does."""
        await self.admin.create_topics([NewTopic(self.topic, 2, 1)])

    async def named(self, *names: str) -> list[Touch]:
        """Return the touches of these events."""
        return [touch for touch in await self.ingest.touches() if touch.name in names]


@pytest_asyncio.fixture
async def foreign(database_url: str, kafka_bootstrap: str) -> AsyncIterator[Foreign]:
    """Ingest on Kafka."""
    topic = f"shop.orders-{uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    async with (
        open_kafka_log(kafka_bootstrap, client_id="test") as log,
        open_engine(database_url, name="test") as engine,
    ):
        await log.create_topics([Topic(name, partitions=2, retention_hours=1) for name in TopicName])
        async with open_test_ingest(engine, log, extra_topics=f"{topic}=campaign") as ingest:
            yield Foreign(ingest, topic, kafka_bootstrap, admin)
    await admin.close()


def page(name: str, **more: Any) -> bytes:
    return json.dumps({"type": "page", "name": name, "userId": name, **more}).encode()


def order(name: str) -> CloudEvent:
    attributes = {"specversion": "1.0", "id": f"id {name}", "source": "/shop", "type": name, "userid": "u-1"}
    return CloudEvent(attributes={**attributes, "datacontenttype": "application/json"}, data={"plan": "pro"})


async def test_what_foreign_clients_write(foreign: Foreign) -> None:
    """Every codec, both forms of CloudEvents, tombstones and raw headers are read from a topic that appears later."""
    unique = uuid4().hex
    event, bare, large = (f"{kind} {unique}" for kind in ("order", "bare", "large"))
    async with foreign.ingest.understanding():

        async def told() -> bool:
            return 'tandem_topics_absent{worker="ingest"} 1.0' in (await foreign.ingest.client.get("/metrics")).text

        await until(told, what="the topic is missed")
        assert foreign.topic not in await foreign.admin.list_topics()
        await foreign.create()
        for codec in CODECS:
            async with AIOKafkaProducer(bootstrap_servers=foreign.bootstrap, compression_type=codec) as producer:
                await producer.send_and_wait(foreign.topic, page(f"{codec} {unique}", messageId="m"), key=b"\xff")
        async with AIOKafkaProducer(bootstrap_servers=foreign.bootstrap, max_request_size=2 << 20) as producer:
            for message in (kafka.to_binary_event(order(event)), kafka.to_structured_event(order(event))):
                for _ in range(2):
                    sent = list(message.headers.items())
                    await producer.send_and_wait(foreign.topic, bytes(message.value or b""), headers=sent)
            await producer.send_and_wait(foreign.topic, None, key=b"gone")
            await producer.send_and_wait(foreign.topic, None, b"k", headers=[("ce_id", b"\xe9"), *_attributes(bare)])
            await producer.send_and_wait(foreign.topic, None, b"k", headers=[("ce_id", b"\xe8"), *_attributes(bare)])
            await producer.send_and_wait(foreign.topic, page(large, properties={"x": "x" * 1_000_000}))
            await producer.send_and_wait(foreign.topic, page(f"last {unique}"), timestamp_ms=1)

        async def all_there() -> bool:
            wanted = [event, bare, f"last {unique}", *(f"{codec} {unique}" for codec in CODECS)]
            return {touch.name for touch in await foreign.named(*wanted)} == set(wanted) and bool(
                [one for one in await foreign.ingest.rejected() if one.topic == foreign.topic]
            )

        await until(all_there, seconds=60, poll=timedelta(seconds=1), what="all of them are read")
    assert 'tandem_topics_absent{worker="ingest"} 0.0' in (await foreign.ingest.client.get("/metrics")).text
    assert "tandem_tombstones_passed_total 1.0" in (await foreign.ingest.client.get("/metrics")).text
    orders = await foreign.named(event)
    assert (len(orders), len({touch.id for touch in orders})) == (4, 1)
    assert {(touch.source, touch.kind) for touch in orders} == {("/shop", "campaign")}
    assert len({touch.id for touch in await foreign.named(bare)}) == 2, "ids that are not UTF-8 stay apart"
    plain = await foreign.named(*(f"{codec} {unique}" for codec in CODECS))
    assert {(touch.source, touch.kind) for touch in plain} == {(foreign.topic, "campaign")}
    (last,) = await foreign.named(f"last {unique}")
    assert datetime.now(UTC) - last.received_at < timedelta(minutes=5), "1970 is no time at which anything was received"
    rejected = [one for one in await foreign.ingest.rejected() if one.topic == foreign.topic]
    assert [one.reason for one in rejected] == ["event_too_large"]


def _attributes(name: str) -> list[tuple[str, bytes]]:
    texts = {"ce_source": "/s", "ce_type": name, "ce_specversion": "1.0", "ce_userid": "u-2", "other": "\udcff"}
    return [(key, value.encode("utf-8", "surrogateescape")) for key, value in texts.items()]


@pytest.mark.parametrize("ends_with", ["a commit", "an abort"])
async def test_transactions(foreign: Foreign, ends_with: str) -> None:
    """What was given up is not read, and the marks in the log are passed over: retention may take them."""
    await foreign.create()
    unique = uuid4().hex
    partition = TopicPartition(foreign.topic, 0)
    async with (
        foreign.ingest.understanding(),
        AIOKafkaProducer(bootstrap_servers=foreign.bootstrap, transactional_id=unique) as producer,
    ):
        for number in range(3):
            async with producer.transaction():
                await producer.send(foreign.topic, page(f"kept {number} {unique}"), partition=0)
            await producer.begin_transaction()
            await producer.send(foreign.topic, page(f"given up {unique}"), partition=0)
            await producer.flush()
            await producer.abort_transaction()
        if ends_with == "a commit":
            async with producer.transaction():
                await producer.send(foreign.topic, page(f"kept 3 {unique}"), partition=0)

        end = 3 * 4 + (2 if ends_with == "a commit" else 0)

        async def passed() -> bool:
            return await _position(foreign) == end

        await until(passed, seconds=30, what="the position is behind the last mark")
    await foreign.admin.delete_records({partition: RecordsToDelete(before_offset=end)})
    async with (
        foreign.ingest.understanding(),
        AIOKafkaProducer(bootstrap_servers=foreign.bootstrap) as producer,
    ):
        await producer.send_and_wait(foreign.topic, page(f"after {unique}"), partition=0)

        async def read_on() -> bool:
            return bool(await foreign.named(f"after {unique}"))

        await until(read_on, seconds=30, poll=timedelta(milliseconds=200), what="the partition goes on")
    names = [f"kept {number} {unique}" for number in range(4 if ends_with == "a commit" else 3)]
    assert sorted(touch.name for touch in await foreign.named(*names)) == names
    assert await foreign.named(f"given up {unique}") == []


async def _position(foreign: Foreign) -> int:
    where = Partition(foreign.topic, 0)
    return (await Positions(foreign.ingest.engine, position, owner="test").read("ingest", [where])).get(where, -1)


async def test_a_topic_that_goes_away(foreign: Foreign) -> None:
    """The others are read on, and nobody makes it anew."""
    unique = uuid4().hex
    await foreign.create()
    async with foreign.ingest.understanding(), AIOKafkaProducer(bootstrap_servers=foreign.bootstrap) as producer:
        await producer.send_and_wait(foreign.topic, page(f"first {unique}"))

        async def read() -> bool:
            return bool(await foreign.named(f"first {unique}"))

        await until(read, seconds=30, poll=timedelta(milliseconds=200))
        await foreign.admin.delete_topics([foreign.topic])

        async def told() -> bool:
            return 'tandem_topics_absent{worker="ingest"} 1.0' in (await foreign.ingest.client.get("/metrics")).text

        await until(told, seconds=30, what="the topic is missed")
        await producer.send_and_wait(TopicName.EVENTS_WEB, page(f"second {unique}"))

        async def others() -> bool:
            return bool(await foreign.named(f"second {unique}"))

        await until(others, seconds=30, poll=timedelta(milliseconds=200), what="the others are read on")
        assert foreign.topic not in await foreign.admin.list_topics()


async def test_the_topics_are_missed_by_each_backend_alike(database_url: str) -> None:
    """On PostgreSQL, too, one that is missing is told and read once it is there."""
    async with open_postgres_log(database_url, name="test") as log, open_engine(database_url, name="test") as engine:
        await log.create_topics([Topic(name, partitions=2, retention_hours=1) for name in TopicName])
        async with open_test_ingest(engine, log, extra_topics="shop.orders=web, mails=campaign") as ingest:
            async with ingest.understanding():
                await log.append(TopicName.EVENTS_WEB, [Record(page("own"))])

                async def own() -> bool:
                    return bool(await ingest.touches())

                await until(own, what="our own are read")
                await log.create_topics([Topic("mails", partitions=2, retention_hours=1)])
                mails = [Record(page("theirs")), Record(b"?")]
                await log.append("mails", mails)

                async def theirs() -> bool:
                    return len(await ingest.touches()) == 2 and bool(await ingest.rejected())

                await until(theirs, what="theirs are read")
            assert 'tandem_topics_absent{worker="ingest"} 1.0' in (await ingest.client.get("/metrics")).text
            assert {(touch.source, touch.kind) for touch in await ingest.touches()} == {
                ("kafka", "web"),
                ("mails", "campaign"),
            }
            (rejected,) = await ingest.rejected()
            assert (rejected.topic, rejected.source) == ("mails", "mails")
