"""Work that is repeated until the process is told to stop."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from shared.repeating import repeat
from tests.support.waiting import until

LONG = timedelta(minutes=10)


class Work:
    """Work whose turns end as they were told to."""

    def __init__(self, *turns: timedelta | Exception) -> None:
        self.turns: Iterator[timedelta | Exception] = iter(turns)
        self.done = 0
        self.stopping = asyncio.Event()

    async def __call__(self) -> timedelta:
        """Take a turn; the last one tells to stop."""
        turn = next(self.turns, None)
        if turn is None:
            self.stopping.set()
            return LONG
        self.done += 1
        if isinstance(turn, Exception):
            raise turn
        return turn


async def test_there_is_more() -> None:
    """It goes on at once, and ends when it is told to."""
    work = Work(timedelta(), timedelta(), timedelta())

    await asyncio.wait_for(repeat(work, work.stopping, worker="test", retry=LONG), 10)

    assert work.done == 3


async def test_there_is_no_more() -> None:
    """It waits, until somebody wakes it."""
    work, wake = Work(LONG, LONG), asyncio.Event()
    running = asyncio.create_task(repeat(work, work.stopping, worker="test", retry=LONG, wake=wake))
    for turns in (1, 2, 2):

        async def waits(turns: int = turns) -> bool:
            return work.done == turns and not wake.is_set()

        await until(waits)
        wake.set()

    await asyncio.wait_for(running, 10)
    assert work.done == 2


async def test_the_database_is_away() -> None:
    """It is tried again."""
    work = Work(ConnectionRefusedError("away"), timedelta())

    await asyncio.wait_for(repeat(work, work.stopping, worker="test", retry=timedelta(milliseconds=1)), 10)

    assert work.done == 2


async def test_a_defect() -> None:
    """It ends the worker, and so the process."""
    work = Work(ValueError("a defect"), timedelta())

    with pytest.raises(ValueError, match="a defect"):
        await repeat(work, work.stopping, worker="test", retry=LONG)
