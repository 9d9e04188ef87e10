"""What the log on PostgreSQL promises beyond the contract of both backends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.errors import LogUnavailable
from shared.log.postgres import PostgresLog, open_postgres_log
from shared.log.protocol import EventLog
from shared.log.records import Partition, Record, Topic
from shared.postgres.positions import Positions
from tests.support.reading import SHORT, read
from tests.support.trial import engine, log, positions, topic
from tests.support.waiting import until

__all__ = ["engine", "log", "positions", "topic"]


@asynccontextmanager
async def heads_locked(engine: AsyncEngine) -> AsyncIterator[None]:
    """Keep every append waiting, as a server does whose disk hangs."""
    async with engine.connect() as connection:
        await connection.execute(text("LOCK TABLE log.head IN ACCESS EXCLUSIVE MODE"))
        yield
        await connection.rollback()


async def test_records_are_forgotten_after_their_retention(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """What is too old goes from the front, a topic's young records and its offsets stay."""
    assert isinstance(log, PostgresLog)
    await log.append(topic, [Record(b"old", partition=0)] * 3)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE log.record SET appended_at = appended_at - interval '2 hours'"))
    await log.append(topic, [Record(b"young", partition=0)] * 2)

    assert await log.trim(datetime.now(UTC)) == 3
    assert await log.bounds(Partition(topic, 0)) == (3, 5)
    async with log.consume("late", [topic], positions.claim) as consumer:
        assert [record.offset for record in await read(consumer, 2)] == [3, 4]

    assert await log.trim(datetime.now(UTC) + timedelta(hours=2)) == 2
    assert await log.bounds(Partition(topic, 0)) == (5, 5)
    await log.append(topic, [Record(b"next", partition=0)])
    assert await log.bounds(Partition(topic, 0)) == (5, 6)


async def test_a_reader_that_retention_overtook_stalls(log: EventLog, topic: str, positions: Positions) -> None:
    """Records forgotten before they were read are not skipped in silence."""
    assert isinstance(log, PostgresLog)
    await log.append(topic, [Record(b"", partition=0)] * 3)
    async with log.consume("slow", [topic], positions.claim) as consumer:
        await read(consumer, 1, max_records=1)
        await log.trim(datetime.now(UTC) + timedelta(hours=2))
        await log.append(topic, [Record(b"", partition=0)])

        async def stalled() -> bool:
            assert await consumer.fetch(max_records=10, timeout=SHORT) == []
            return bool(consumer.stalled())

        await until(stalled)
        assert "holds offsets 3 to 4, but the stored position is 0" in consumer.stalled()[0]


async def test_concurrent_appends_share_transactions(log: EventLog, topic: str, engine: AsyncEngine) -> None:
    """A crowd of callers costs a few commits, not one each."""
    await asyncio.gather(*(log.append(topic, [Record(str(number).encode())]) for number in range(200)))

    async with engine.connect() as connection:
        records, transactions = (
            await connection.execute(text("SELECT count(*), count(DISTINCT xmin::text) FROM log.record"))
        ).one()
    assert records == 200
    assert transactions <= 10


async def test_an_append_that_waits_too_long_fails_in_time(database_url: str, engine: AsyncEngine) -> None:
    """A server that hangs is told from one that is slow by the clock; the next append goes through."""
    async with open_postgres_log(database_url, name="trial", append_timeout=timedelta(milliseconds=500)) as log:
        topic = f"topic-{uuid4().hex}"
        await log.create_topics([Topic(topic, partitions=1, retention_hours=1)])
        async with heads_locked(engine):
            started = monotonic()
            outcomes = await asyncio.gather(
                *(log.append(topic, [Record(b"held up")]) for _ in range(20)), return_exceptions=True
            )
            assert monotonic() - started < 1.5
        assert {type(outcome) for outcome in outcomes} == {LogUnavailable}
        await log.append(topic, [Record(b"next")])


async def test_a_waiting_reader_is_woken(log: EventLog, database_url: str, topic: str, positions: Positions) -> None:
    """An append of another process ends the wait at once, long before the next poll."""
    async with (
        open_postgres_log(database_url, name="other") as other,
        log.consume("group", [topic], positions.claim) as consumer,
    ):
        await other.append(topic, [Record(b"warm", partition=0)])
        await read(consumer, 1)
        delays = []
        for _ in range(5):
            fetching = asyncio.create_task(consumer.fetch(max_records=1, timeout=timedelta(seconds=5)))
            await asyncio.wait([fetching], timeout=0.02)
            started = monotonic()
            await other.append(topic, [Record(b"", partition=0)])
            assert await fetching
            delays.append(monotonic() - started)
    assert min(delays) < 0.1


async def test_a_reader_whose_session_is_cut_off_comes_back(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """Locks and notifications die with the session; a new one takes over without a gap or a repeat."""
    async with log.consume("group", [topic], positions.claim) as consumer:
        await log.append(topic, [Record(b"0", partition=0)])
        await read(consumer, 1)
        async with engine.connect() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2")
            )

        async def let_go() -> bool:
            return not consumer.assigned()

        await until(let_go)
        await log.append(topic, [Record(b"1", partition=0)])
        records = await read(consumer, 2)

    assert [record.value for record in records] == [b"0", b"1"]  # the position was never advanced


async def test_a_partition_that_does_not_exist_is_refused(log: EventLog, topic: str) -> None:
    """A wrong partition is the caller's mistake, told before anything is sent."""
    with pytest.raises(ValueError, match="there is no partition 2; the topic has 2"):
        await log.append(topic, [Record(b"", partition=0), Record(b"", partition=2)])

    assert await log.bounds(Partition(topic, 0)) == (0, 0)
