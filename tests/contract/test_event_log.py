"""What both backends of the log promise."""

import asyncio
import random
import tracemalloc
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.errors import PositionLost, RecordTooLarge, TopicMissing
from shared.log.placement import MAX_RECORD_BYTES
from shared.log.protocol import EventLog
from shared.log.records import Batch, Claim, Partition, Record, Topic
from shared.postgres.positions import Positions
from tests.contract.conftest import OpenLog
from tests.support import reading
from tests.support.reading import SHORT, member, read, read_batches, times_handled
from tests.support.waiting import until


def numbered(count: int, *, first: int = 0, **where: object) -> list[Record]:
    return [Record(str(number).encode(), **where) for number in range(first, first + count)]  # type: ignore[arg-type]


async def test_a_partition_keeps_the_order_of_appends(
    log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """Records come back in the order in which they were appended, at consecutive offsets."""
    for first in range(0, 30, 10):
        await log.append(topic, numbered(10, first=first, partition=2))

    async with log.consume(group, [topic], positions.claim) as consumer:
        records = await read(consumer, 30)

    assert [str(number).encode() for number in range(30)] == [record.value for record in records]
    assert list(range(30)) == [record.offset for record in records]
    assert {Partition(topic, 2)} == {record.partition for record in records}


async def test_concurrent_appenders_leave_no_hole(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A reader that keeps up sees every offset once and in order, however many append at the same time."""

    async def append(appender: int) -> None:
        for step in range(40):
            await log.append(
                topic, [Record(f"{appender} {step} {part}".encode(), partition=part % 2) for part in range(4)]
            )

    async with log.consume(group, [topic], positions.claim) as consumer:
        appending = asyncio.gather(*(append(appender) for appender in range(8)))
        records = await read(consumer, 8 * 40 * 4)
        await appending

    offsets = defaultdict(list)
    steps = defaultdict(list)
    for record in records:
        appender, step, part = map(int, record.value.split())
        offsets[record.partition.number].append(record.offset)
        steps[appender, record.partition.number].append((step, part))
    assert {0: list(range(640)), 1: list(range(640))} == offsets
    assert all(order == sorted(order) for order in steps.values())


async def test_records_of_one_key_share_a_partition(
    log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """A key lands where Kafka's own producers put it, alone or in a crowd."""
    keys = [uuid4().bytes for _ in range(50)] + [str(uuid4()).encode() for _ in range(50)] + [b"", b"a"]
    for key in keys[:10]:
        await log.append(topic, [Record(b"alone", key=key)])
    await log.append(topic, [Record(b"in a crowd", key=key) for key in keys])

    async with log.consume(group, [topic], positions.claim) as consumer:
        records = await read(consumer, 10 + len(keys))

    partitioner = DefaultPartitioner()
    for record in records:
        assert partitioner(record.key, list(range(4)), list(range(4))) == record.partition.number


async def test_a_partition_that_is_named_wins_over_the_key(
    log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """The caller's choice of a partition is the last word, and the key is kept."""
    await log.append(topic, [Record(b"", key=b"same", partition=number) for number in range(4)])

    async with log.consume(group, [topic], positions.claim) as consumer:
        records = await read(consumer, 4)

    assert {0, 1, 2, 3} == {record.partition.number for record in records}
    assert {b"same"} == {record.key for record in records}


async def test_records_without_a_key_go_to_all_partitions_in_time(log: EventLog, topic: str) -> None:
    """Nobody need choose: appends without key and partition spread over the topic."""
    for _ in range(60):
        await log.append(topic, [Record(b"")])

    ends = [(await log.bounds(Partition(topic, number)))[1] for number in range(4)]
    assert sum(ends) == 60
    assert all(ends)


async def test_a_record_comes_back_whole(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """Value, key, headers in order and the log's clock survive the journey."""
    headers = (
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x", b"\x00\xff"),
        ("x", b""),
    )
    before = datetime.now(UTC)
    await log.append(topic, [Record(b"\x00value", key=b"\xffkey", headers=headers), Record(b"", key=b"\xffkey")])
    after = datetime.now(UTC)

    async with log.consume(group, [topic], positions.claim) as consumer:
        full, empty = await read(consumer, 2)

    assert (b"\x00value", b"\xffkey", headers) == (full.value, full.key, full.headers)
    assert full.header("x") == b"\x00\xff"
    assert (empty.value, empty.headers) == (b"", ())
    assert before - timedelta(seconds=1) < full.appended_at < after + timedelta(seconds=1)


async def test_the_largest_record_goes_through(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A record may be as large as the limit says, also one that does not compress."""
    value = random.Random(1).randbytes(MAX_RECORD_BYTES)
    await log.append(topic, [Record(value, partition=0), Record(b"next", partition=0)])

    async with log.consume(group, [topic], positions.claim) as consumer:
        large, after = await read(consumer, 2)

    assert value == large.value
    assert after.value == b"next"


async def test_a_record_too_large_takes_nothing_with_it(log: EventLog, topic: str) -> None:
    """Of an append with a record beyond the limit nothing is stored, and others are not hurt."""
    oversize = Record(bytes(MAX_RECORD_BYTES + 1), partition=0)
    results = await asyncio.gather(
        log.append(topic, [Record(b"", partition=0)]),
        log.append(topic, [Record(b"", partition=0), oversize, Record(b"", partition=1)]),
        log.append(topic, [Record(b"", partition=0)]),
        return_exceptions=True,
    )

    assert [None, RecordTooLarge, None] == [result and type(result) for result in results]
    assert await log.bounds(Partition(topic, 0)) == (0, 2)
    assert await log.bounds(Partition(topic, 1)) == (0, 0)


async def test_appending_nothing_is_fine(log: EventLog, topic: str) -> None:
    """An empty append needs no server."""
    await log.append(topic, [])

    assert await log.bounds(Partition(topic, 0)) == (0, 0)


async def test_a_topic_that_is_missing_is_told(log: EventLog, group: str, positions: Positions) -> None:
    """Whoever uses a topic that nobody created learns its name, soon; it can be created later."""
    name = f"missing-{uuid4().hex}"
    for call in (log.append(name, [Record(b"")]), log.partition_count(name), log.bounds(Partition(name, 0))):
        with pytest.raises(TopicMissing, match=name):
            await call

    fetched: list[Batch] = []
    async with log.consume(group, [name], positions.claim) as consumer:

        async def missing() -> bool:
            try:
                fetched.extend(await consumer.fetch(max_records=1, timeout=SHORT))
            except TopicMissing:
                return True
            return False

        async def came() -> bool:
            return not await missing() and bool(fetched)

        await until(missing)
        await log.create_topics([Topic(name, partitions=1, retention_hours=1)])
        await log.append(name, [Record(b"first")])
        await until(came)
    assert [record.value for batch in fetched for record in batch.records] == [b"first"]


async def test_an_existing_topic_stays_as_it_is(log: EventLog, topic: str) -> None:
    """Every process may create all topics at its start: two at a time, and again with other numbers."""
    names = [topic, *(f"topic-{uuid4().hex}" for _ in range(3))]
    topics = [Topic(name, partitions=2, retention_hours=5) for name in names]
    await log.append(topic, [Record(b"", partition=3)])

    await asyncio.gather(log.create_topics(topics), log.create_topics(topics))

    assert [await log.partition_count(name) for name in names] == [4, 2, 2, 2]
    assert await log.bounds(Partition(topic, 3)) == (0, 1)


async def test_members_share_the_partitions(
    log: EventLog, open_backend: OpenLog, topic: str, group: str, positions: Positions, engine: AsyncEngine
) -> None:
    """Members come and go under load; all partitions are read, and every record is handled exactly once."""
    total = 0

    async def append(count: int) -> None:
        nonlocal total
        await log.append(topic, numbered(count, first=total))
        for _ in range(count):
            await log.append(topic, [Record(b"", key=random.randbytes(8))])
        total += 2 * count

    async def all_handled() -> bool:
        return len(await times_handled(engine, group)) == total

    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(open_backend())
        first = await stack.enter_async_context(member("first", log, group, topic, positions))

        async def alone() -> bool:
            return len(first.consumer.assigned()) == 4

        await until(alone)
        await append(50)
        async with member("second", other, group, topic, positions) as second:
            await append(50)

            async def shared() -> bool:
                return [len(one.consumer.assigned()) for one in (first, second)] == [2, 2]

            await until(shared)
            assert not first.consumer.assigned() & second.consumer.assigned()
            await append(50)
            await until(all_handled)
        await append(50)
        await until(alone)
        await until(all_handled)

    assert {1} == set((await times_handled(engine, group)).values())


async def test_groups_read_independently(log: EventLog, topic: str, positions: Positions) -> None:
    """Each group gets every record."""
    await log.append(topic, numbered(20, key=b"k"))

    async with (
        log.consume(f"one-{topic}", [topic], positions.claim) as one,
        log.consume(f"two-{topic}", [topic], positions.claim) as two,
    ):
        assert await read(one, 20) == await read(two, 20)


async def test_one_member_reads_several_topics(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A group may read several topics; each batch says what it is from."""
    second = f"topic-{uuid4().hex}"
    await log.create_topics([Topic(second, partitions=1, retention_hours=1)])
    await log.append(topic, [Record(topic.encode(), partition=1)])
    await log.append(second, [Record(second.encode())])

    async with log.consume(group, [topic, second], positions.claim) as consumer:
        batches = await read_batches(consumer, 2)

    assert {Partition(topic, 1): topic, Partition(second, 0): second} == {
        batch.partition: batch.records[0].value.decode() for batch in batches
    }


async def test_a_restart_goes_on_where_the_position_stands(
    open_backend: OpenLog, log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """What was committed is not read again; what was only fetched is."""
    await log.append(topic, numbered(10, partition=0))
    async with log.consume(group, [topic], positions.claim) as consumer:
        (kept,) = await read_batches(consumer, 4, max_records=4)
        async with positions.transaction([kept]):
            pass
        await consumer.mirror([kept])
        await read(consumer, 3, max_records=3)

    async with open_backend() as again, again.consume(group, [topic], positions.claim) as consumer:
        (batch, *_) = await read_batches(consumer, 6)

    assert (batch.position, batch.epoch) == (4, 2)
    assert [record.value for record in batch.records] == [b"4", b"5", b"6", b"7", b"8", b"9"]


async def test_fetch_holds_to_its_limits(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A fetch brings no more records than asked for, one batch a partition, and does not wait when there are none."""
    for number in range(4):
        await log.append(topic, numbered(25, partition=number))

    async with log.consume(group, [topic], positions.claim) as consumer:
        seen: Counter[Partition] = Counter()
        while seen.total() < 100:
            batches = await consumer.fetch(max_records=7, timeout=SHORT)
            assert sum(len(batch.records) for batch in batches) <= 7
            assert len({batch.partition for batch in batches}) == len(batches)
            for batch in batches:
                assert seen[batch.partition] == batch.position == batch.records[0].offset
                assert batch.next_position == batch.position + len(batch.records)
                seen[batch.partition] += len(batch.records)
        assert {25} == set(seen.values())

        started = monotonic()
        assert await consumer.fetch(max_records=7, timeout=SHORT) == []
        assert monotonic() - started < 2


async def test_a_backlog_does_not_fill_memory(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A reader 128 MB behind holds a bounded part of it, however many records it asks for."""
    chunk = random.Random(1).randbytes(64 << 10)
    for _ in range(64):
        await log.append(topic, [Record(chunk, partition=number) for number in range(4) for _ in range(8)])

    async with log.consume(group, [topic], positions.claim) as consumer:
        tracemalloc.start()
        try:
            largest = seen = 0
            while seen < 2048:
                batches = await consumer.fetch(max_records=100_000, timeout=SHORT)
                seen += sum(len(batch.records) for batch in batches)
                largest = max(largest, sum(len(record.value) for batch in batches for record in batch.records))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert largest <= 20 << 20
    assert peak < 100 << 20


async def test_rewind_reads_again_from_the_stored_position(
    log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """After a failure the same records come again, under a new claim; other partitions go on."""
    await log.append(topic, numbered(5, partition=0))
    await log.append(topic, numbered(5, partition=1))
    async with log.consume(group, [topic], positions.claim) as consumer:
        first = {batch.partition.number: batch for batch in await read_batches(consumer, 10)}
        consumer.rewind(Partition(topic, 0))
        assert Partition(topic, 0) not in consumer.assigned()
        await log.append(topic, [Record(b"later", partition=1)])
        later, again = sorted(await read_batches(consumer, 6), key=lambda batch: len(batch.records))

        with pytest.raises(PositionLost):
            async with positions.transaction([first[0]]):
                pass
        async with positions.transaction([again, first[1]]):
            pass

    assert (Partition(topic, 0), first[0].records, first[0].epoch + 1) == (again.partition, again.records, again.epoch)
    assert (b"later", first[1].epoch) == (later.records[0].value, later.epoch)


async def test_a_position_outside_the_log_stalls_its_partition(
    log: EventLog, topic: str, group: str, positions: Positions, engine: AsyncEngine
) -> None:
    """A position that the log does not hold is for people to decide: nothing is skipped, the others go on."""
    await positions.claim(group, Partition(topic, 1), 0, 0)
    async with engine.begin() as connection:
        await connection.execute(update(reading.position).values(next_offset=1000))
    await log.append(topic, numbered(5, partition=1))
    await log.append(topic, numbered(5, partition=2))

    async with log.consume(group, [topic], positions.claim) as consumer:
        records = await read(consumer, 5)

        async def stalled() -> bool:
            return bool(consumer.stalled())

        await until(stalled)
        (line,) = consumer.stalled()
        assert Partition(topic, 1) not in consumer.assigned()

    assert {Partition(topic, 2)} == {record.partition for record in records}
    assert f"{topic}/1 holds offsets 0 to 5, but the stored position is 1000" in line


async def test_nothing_is_read_before_its_position_is_known(
    log: EventLog, topic: str, group: str, positions: Positions
) -> None:
    """However long a claim takes, and whatever Kafka was told, the first record is that at the claimed position."""
    await log.append(topic, numbered(10, partition=0))
    async with log.consume(group, [topic], positions.claim) as consumer:
        batches = await read_batches(consumer, 6, max_records=3)
        async with positions.transaction(batches[:1]):
            pass
        async with positions.transaction(batches[1:2]):
            pass
        await consumer.mirror(batches[:1])  # a mirror that lags behind
    answered = asyncio.Event()

    async def claim(group: str, partition: Partition, earliest: int, end: int) -> Claim:
        claimed = await positions.claim(group, partition, earliest, end)
        await answered.wait()
        return claimed

    async with log.consume(group, [topic], claim) as consumer:
        for _ in range(10):
            assert await consumer.fetch(max_records=100, timeout=SHORT) == []
        assert not consumer.assigned()
        answered.set()
        records = await read(consumer, 4)

    assert [record.offset for record in records] == [6, 7, 8, 9]


async def test_a_claim_that_fails_is_tried_again(log: EventLog, topic: str, group: str, positions: Positions) -> None:
    """A database that is away for a while costs time, no records and no wrong ones."""
    await log.append(topic, numbered(10, partition=0))
    await positions.claim(group, Partition(topic, 0), 3, 10)
    attempts: Counter[Partition] = Counter()

    async def claim(group: str, partition: Partition, earliest: int, end: int) -> Claim:
        attempts[partition] += 1
        if attempts[partition] <= 3:
            raise ConnectionRefusedError
        return await positions.claim(group, partition, earliest, end)

    async with log.consume(group, [topic], claim) as consumer:
        records = await read(consumer, 7)

    assert list(range(3, 10)) == [record.offset for record in records]


async def test_a_zombie_cannot_advance(
    log: EventLog, open_backend: OpenLog, topic: str, group: str, positions: Positions, engine: AsyncEngine
) -> None:
    """Work that was begun before the partition moved is void, and its new owner does it once."""
    await log.append(topic, [Record(b"", partition=number) for number in range(4)])
    async with open_backend() as other, log.consume(group, [topic], positions.claim) as zombie:
        begun = {batch.partition: batch for batch in await read_batches(zombie, 4)}
        assert len(begun) == 4
        async with member("heir", other, group, topic, positions) as heir:

            async def moved() -> bool:
                return len(await times_handled(engine, group)) == 2

            await until(moved)
            assert len(heir.consumer.assigned()) == 2
            for partition in heir.consumer.assigned():
                with pytest.raises(PositionLost):
                    async with positions.transaction([begun[partition]]):
                        pass

    assert {1} == set((await times_handled(engine, group)).values())
