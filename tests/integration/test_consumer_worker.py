"""The loop of every consuming worker, and what becomes of each kind of failure."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.errors import LogUnavailable
from shared.log.protocol import EventLog
from shared.log.records import Batch, Partition, Record
from shared.log.worker import SET_ASIDE_LIMIT, ConsumerWorker
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics
from tests.support.reading import handled, times_handled
from tests.support.trial import engine, log, positions, topic
from tests.support.waiting import until

__all__ = ["engine", "log", "positions", "topic"]

GROUP = "group"


class Trial:
    """A handler that fails when told to, and notes what it has set aside."""

    def __init__(self, positions: Positions, fail: Callable[[Sequence[Batch]], None]) -> None:
        self.positions = positions
        self.fail = fail
        self.fail_aside: Callable[[Batch], None] = lambda _: None
        self.reasons: list[str] = []
        self.sizes: list[int] = []
        self.metrics = Metrics()
        self.worker: ConsumerWorker | None = None

    def halted(self) -> bool:
        """Tell whether the worker has halted, by what it says itself."""
        return self.worker is not None and self.worker.halted is not None

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Write down every record, in one transaction."""
        self.sizes.append(sum(len(batch.records) for batch in batches))
        async with self.positions.transaction(batches) as connection:
            for batch in batches:
                for record in batch.records:
                    await connection.execute(insert(handled), self._row(batch, record.offset, "handled"))
            self.fail(batches)

    async def set_aside(self, batch: Batch, reason: Exception) -> None:
        """Write down the record as one that was set aside."""
        async with self.positions.transaction([batch]) as connection:
            await connection.execute(insert(handled), self._row(batch, batch.position, "aside"))
            self.fail_aside(batch)
        self.reasons.append(str(reason))

    def _row(self, batch: Batch, offset: int, member: str) -> dict[str, object]:
        return {
            "consumer_group": GROUP,
            "partition": batch.partition.number,
            "offset": offset,
            "member": member,
        }


@asynccontextmanager
async def working(
    log: EventLog, topic: str, trial: Trial, *, set_aside_limit: int = SET_ASIDE_LIMIT
) -> AsyncIterator[asyncio.Task[None]]:
    stopping = asyncio.Event()
    async with log.consume(GROUP, [topic], trial.positions.claim) as consumer:
        trial.worker = worker = ConsumerWorker(
            GROUP,
            consumer,
            handle=trial.handle,
            set_aside=trial.set_aside,
            metrics=trial.metrics,
            max_records=100,
            set_aside_limit=set_aside_limit,
        )
        task = asyncio.create_task(worker.run(stopping))
        try:
            yield task
        finally:
            stopping.set()
            await asyncio.wait([task])
    if not task.exception():
        task.result()


async def append(log: EventLog, topic: str, count: int) -> None:
    for number in range(2):
        await log.append(topic, [Record(str(value).encode(), partition=number) for value in range(count)])


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(handled)) or 0)


async def test_a_failure_that_passes_is_tried_again(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """Servers that are away cost time; every record is handled once."""
    failures = iter([LogUnavailable("away"), ConnectionResetError(), TimeoutError()])

    def fail(_: Sequence[Batch]) -> None:
        if failure := next(failures, None):
            raise failure

    trial = Trial(positions, fail)
    await append(log, topic, 10)
    async with working(log, topic, trial):
        await until(lambda: reached(engine, 20))

    assert set((await times_handled(engine, GROUP)).values()) == {1}
    assert trial.reasons == []


async def test_a_lost_position_is_no_failure(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """When another member claims in the middle, the work is void and done again by whoever owns the partition."""
    stolen: list[Partition] = []
    trial = Trial(positions, lambda _: None)
    handle = trial.handle

    async def robbed(batches: Sequence[Batch]) -> None:
        if not stolen:
            stolen.append(batches[0].partition)
            await positions.claim(GROUP, batches[0].partition, 0, 100)
        await handle(batches)

    trial.handle = robbed  # type: ignore[method-assign]
    await append(log, topic, 10)
    async with working(log, topic, trial):
        await until(lambda: reached(engine, 20))

    assert stolen
    assert set((await times_handled(engine, GROUP)).values()) == {1}


async def test_a_record_that_breaks_the_handler_is_set_aside(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """It is found by going one by one, kept with its reason, and holds up nobody; then batches are whole again."""

    def fail(batches: Sequence[Batch]) -> None:
        for batch in batches:
            for record in batch.records:
                if record.value == b"3":
                    raise ValueError("three is a strange number")

    trial = Trial(positions, fail)
    await append(log, topic, 10)
    async with working(log, topic, trial):
        await until(lambda: reached(engine, 20))
        for _ in range(2):
            await append(log, topic, 3)
        await until(lambda: reached(engine, 32))

    async with engine.connect() as connection:
        rows = (await connection.execute(select(handled.c.partition, handled.c.offset, handled.c.member))).all()
    assert Counter(rows).total() == len(set(rows)) == 32
    assert {(row.partition, row.offset) for row in rows if row.member == "aside"} == {(0, 3), (1, 3)}
    assert trial.reasons == ["three is a strange number"] * 2
    assert trial.sizes[-1] > 1


async def test_setting_aside_waits_for_a_database_that_is_away(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """A failure that passes does not end the worker there either."""
    failures = iter([ConnectionResetError(), TimeoutError()])

    def fail(batches: Sequence[Batch]) -> None:
        if any(record.value == b"1" for batch in batches for record in batch.records):
            raise ValueError

    def fail_aside(_: Batch) -> None:
        if failure := next(failures, None):
            raise failure

    trial = Trial(positions, fail)
    trial.fail_aside = fail_aside
    await append(log, topic, 3)
    async with working(log, topic, trial):
        await until(lambda: reached(engine, 6))

    assert set((await times_handled(engine, GROUP)).values()) == {1}
    assert len(trial.reasons) == 2


async def test_a_record_that_cannot_even_be_set_aside_ends_the_worker(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """Then only a person can help: the process ends loudly and nothing is skipped."""

    def fail(_: Sequence[Batch]) -> None:
        raise ValueError

    def fail_aside(_: Batch) -> None:
        raise KeyError("no")

    trial = Trial(positions, fail)
    trial.fail_aside = fail_aside
    await append(log, topic, 1)
    async with working(log, topic, trial) as task:
        await asyncio.wait([task])
        with pytest.raises(KeyError):
            task.result()

    assert await count(engine) == 0


async def test_a_handler_that_everything_breaks(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """The worker halts instead of setting everything aside, says so, stays alive, and goes on once something works."""
    broken = True

    def fail(_: Sequence[Batch]) -> None:
        if broken:
            raise ValueError("a defect")

    async def halted() -> bool:
        return (
            trial.halted() and trial.metrics.registry.get_sample_value("tandem_workers_halted", {"worker": GROUP}) == 1
        )

    trial = Trial(positions, fail)
    await append(log, topic, 10)
    async with working(log, topic, trial, set_aside_limit=3):
        await until(halted, seconds=60, what="the worker halts")
        tries = len(trial.sizes)
        await until(lambda: tried_again(trial, tries), seconds=60, what="it tries again")
        aside = await count(engine)
        broken = False
        await until(lambda: reached(engine, 20), seconds=60)
        assert not trial.halted()

    assert (aside, trial.reasons) == (3, ["a defect"] * 3)
    assert set((await times_handled(engine, GROUP)).values()) == {1}


async def test_many_poisonous_records_among_healthy_ones(
    log: EventLog, topic: str, positions: Positions, engine: AsyncEngine
) -> None:
    """While others are handled, more of them than the limit do not hold the partition up.

    Nor does the traffic of the other partition use up the care that is taken of this one's records.
    """

    def fail(batches: Sequence[Batch]) -> None:
        if any(record.value == b"poison" for batch in batches for record in batch.records):
            raise ValueError("poison")

    trial = Trial(positions, fail)
    await log.append(topic, [Record(b"poison", partition=0)] * 5)

    async def all_set_aside() -> bool:
        await log.append(topic, [Record(b"healthy", partition=1)])
        return len(trial.reasons) == 5

    async with working(log, topic, trial, set_aside_limit=3):
        await until(all_set_aside, seconds=60, what="five set aside, past the limit")

    assert trial.reasons == ["poison"] * 5


async def test_without_a_limit(log: EventLog, topic: str, positions: Positions, engine: AsyncEngine) -> None:
    """Somebody who wants everything set aside gets it."""

    def fail(_: Sequence[Batch]) -> None:
        raise ValueError("all of it")

    trial = Trial(positions, fail)
    await append(log, topic, 10)
    async with working(log, topic, trial, set_aside_limit=0):
        await until(lambda: reached(engine, 20))

    assert len(trial.reasons) == 20


async def tried_again(trial: Trial, tries: int) -> bool:
    return len(trial.sizes) > tries


async def reached(engine: AsyncEngine, total: int) -> bool:
    return await count(engine) >= total
