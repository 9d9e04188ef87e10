"""What both backends of the log promise while their server is away. These tests run servers of their own."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.log.errors import LogUnavailable
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.records import Claim, Partition, Record, Topic
from shared.postgres.migrate import migrate
from tests.support.kafka import KafkaServer, running_kafka
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.reading import SHORT, read
from tests.support.waiting import until

APPEND_TIMEOUT = timedelta(seconds=1)
WITHIN = 1.5  # seconds: the timeout, and a slow machine


@dataclass(frozen=True, slots=True)
class Outage:
    """A server that can be taken away."""

    open: Callable[[], AbstractAsyncContextManager[EventLog]]
    begin: Callable[[], Awaitable[None]]
    end: Callable[[], Awaitable[None]]


@pytest_asyncio.fixture(scope="module")
async def own_postgres() -> AsyncIterator[PostgresServer]:
    async with running_postgres() as server:
        await server.create_database("log")
        await migrate(server.url("log"))
        yield server


@pytest_asyncio.fixture(scope="module")
async def own_kafka(kafka_server: KafkaServer) -> AsyncIterator[KafkaServer]:
    """A second broker; `kafka_server` has found out whether there can be one."""
    async with running_kafka() as server:
        yield server


@pytest.fixture(params=["postgres killed", "kafka frozen", "kafka killed"])
def outage(request: pytest.FixtureRequest) -> Outage:
    """A log and a way to take its server away."""
    if request.param == "postgres killed":
        postgres: PostgresServer = request.getfixturevalue("own_postgres")
        return Outage(lambda: _open(postgres.url("log"), None), postgres.kill, postgres.start)
    kafka: KafkaServer = request.getfixturevalue("own_kafka")

    async def take_down() -> None:
        kafka.kill() if request.param == "kafka killed" else kafka.pause()

    async def bring_back() -> None:
        if request.param == "kafka killed":
            await kafka.start()
        else:
            kafka.resume()

    return Outage(lambda: _open("postgresql://nowhere", kafka.bootstrap), take_down, bring_back)


def _open(database_url: str, bootstrap: str | None) -> AbstractAsyncContextManager[EventLog]:
    return open_log(kafka_bootstrap=bootstrap, database_url=database_url, name="outage", append_timeout=APPEND_TIMEOUT)


class Memory:
    """Positions that survive every outage."""

    def __init__(self) -> None:
        self._epochs: Counter[Partition] = Counter()

    async def claim(self, _group: str, partition: Partition, earliest: int, _end: int) -> Claim:
        """Claim from the beginning."""
        self._epochs[partition] += 1
        return Claim(self._epochs[partition], earliest)


async def new_topic(log: EventLog) -> str:
    name = f"topic-{uuid4().hex}"
    await log.create_topics([Topic(name, partitions=2, retention_hours=1)])
    return name


async def test_appends_fail_in_time_and_recover_alone(outage: Outage) -> None:
    """What was acknowledged is there once, what was not is there once or never, and nothing hangs."""
    acknowledged: list[bytes] = []
    attempted: list[bytes] = []

    async def append(value: bytes) -> bool:
        attempted.append(value)
        started = monotonic()
        try:
            await log.append(topic, [Record(value, partition=0), Record(value, partition=1)])
        except LogUnavailable:
            assert monotonic() - started < WITHIN
            return False
        acknowledged.append(value)
        return True

    async def keep_appending(name: str) -> None:
        while not stopping.is_set():
            if not await append(f"{name} {len(attempted)}".encode()):
                await asyncio.wait([asyncio.ensure_future(stopping.wait())], timeout=0.05)

    async def recovered() -> bool:
        return await append(f"probe {len(attempted)}".encode())

    async with outage.open() as log:
        topic = await new_topic(log)
        assert await append(b"before")
        stopping = asyncio.Event()
        appending = [asyncio.create_task(keep_appending(f"appender-{number}")) for number in range(5)]
        await until(lambda: _true(len(acknowledged) > 20))
        await outage.begin()
        try:
            assert await asyncio.gather(*(append(f"during {number}".encode()) for number in range(5))) == [False] * 5
            assert not await log.reachable()
        finally:
            await outage.end()
        await until(recovered, seconds=30)
        await until(log.reachable)
        stopping.set()
        await asyncio.gather(*appending)

        async with log.consume(f"group-{topic}", [topic], Memory().claim) as consumer:
            await log.append(topic, [Record(b"last", partition=number) for number in range(2)])
            seen: dict[int, Counter[bytes]] = {0: Counter(), 1: Counter()}
            while not all(b"last" in values for values in seen.values()):
                for record in await read(consumer, 1, seconds=30):
                    seen[record.partition.number][record.value] += 1

    for values in seen.values():
        assert {1} == set(values.values())
        assert set(acknowledged) <= set(values)
        assert set(values) <= {*attempted, b"last"}


async def test_readers_wait_out_an_outage(outage: Outage) -> None:
    """Fetch neither raises nor hangs while the server is away; afterwards it goes on without a gap or a repeat."""
    async with outage.open() as log:
        topic = await new_topic(log)
        await log.append(topic, [Record(b"before", partition=0)])
        async with log.consume(f"group-{topic}", [topic], Memory().claim) as consumer:
            (before,) = await read(consumer, 1)
            await outage.begin()
            try:
                for _ in range(5):
                    started = monotonic()
                    assert await consumer.fetch(max_records=10, timeout=SHORT) == []
                    assert monotonic() - started < WITHIN
            finally:
                await outage.end()

            async def appended() -> bool:
                try:
                    await log.append(topic, [Record(b"after", partition=0)])
                except LogUnavailable:
                    return False
                return True

            await until(appended, seconds=30)
            after: list[bytes] = []
            offsets: list[int] = []
            while b"after" not in after:
                for record in await read(consumer, 1, seconds=40):
                    after.append(record.value)
                    offsets.append(record.offset)

    assert before.value == b"before"
    assert list(range(offsets[0], offsets[0] + len(offsets))) == offsets
    assert offsets[0] in {0, 1}  # a session that died with the server claims anew; these positions never advance


async def test_a_log_opens_while_its_server_is_away(outage: Outage) -> None:
    """A process may start before its server: it is told that the log is away, and needs no restart."""
    async with outage.open() as log:
        topic = await new_topic(log)
    await outage.begin()
    try:
        async with outage.open() as log, log.consume(f"group-{topic}", [topic], Memory().claim) as consumer:
            started = monotonic()
            with pytest.raises(LogUnavailable):
                await log.append(topic, [Record(b"too soon", partition=0)])
            assert monotonic() - started < WITHIN
            assert await consumer.fetch(max_records=10, timeout=SHORT) == []
            await outage.end()

            async def appended() -> bool:
                try:
                    await log.append(topic, [Record(b"in time", partition=0)])
                except LogUnavailable:
                    return False
                return True

            await until(appended, seconds=30)
            records = await read(consumer, 1, seconds=30)
    finally:
        await outage.end()
    assert b"in time" in {record.value for record in records}


async def _true(value: bool) -> bool:  # noqa: FBT001
    return value


async def test_a_caller_that_went_away_while_a_producer_began(own_kafka: KafkaServer) -> None:
    """That the next producer could not start is no other caller's error: they are told that the log is away."""
    async with _open("postgresql://nowhere", own_kafka.bootstrap) as log:
        topic = await new_topic(log)

        def append() -> asyncio.Task[None]:
            return asyncio.create_task(log.append(topic, [Record(b"value", partition=0)]))

        await append()
        own_kafka.kill()
        try:
            early = append()
            await asyncio.wait([early], timeout=APPEND_TIMEOUT.total_seconds() / 2)
            late = append()
            with pytest.raises(LogUnavailable):
                await early  # out of time, so the producer that both use is retired
            gone = append()
            await asyncio.sleep(0)  # it begins another, which will find no broker
            gone.cancel()
            with pytest.raises(LogUnavailable):
                await late
        finally:
            await own_kafka.start()
