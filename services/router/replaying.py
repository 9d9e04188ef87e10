"""Replaying: what was asked for is sent again, a second's worth at a time.

How far a replay has come is written in the transaction that makes its deliveries due: killed at any line, it goes on
where it was, in this process or another.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.store.deliveries import DeliveryStore
from services.router.store.replays import ReplayStore
from shared.clock import Clock
from shared.repeating import repeat

POLL = timedelta(seconds=1)


class Replayer:
    """Drives replays until told to stop. `replayed` is called when something is due again."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        replays: ReplayStore,
        deliveries: DeliveryStore,
        clock: Clock,
        replayed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._replays = replays
        self._deliveries = deliveries
        self._clock = clock
        self._replayed = replayed
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look for replays now."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Replay until told to stop."""
        await repeat(self._work, stopping, worker="router.replays", retry=POLL, wake=self._wake)

    async def _work(self) -> timedelta:
        if not await self.step():
            return POLL
        self._replayed()
        return timedelta()

    async def step(self) -> bool:
        """Drive one replay a step further; tell whether there was one."""
        now = self._clock()
        async with self._engine.begin() as connection:
            replay = await self._replays.take_due(connection, now=now)
            if replay is None:
                return False
            places = await self._deliveries.after(
                connection, replay.wanted, replay.place, until=replay.created_at, limit=max(1, round(replay.rate))
            )
            again = await self._deliveries.replay([item for _, item in places], now=now, connection=connection)
            await self._replays.advance(
                connection,
                replay,
                places,
                replayed=len(again),
                due_at=now + timedelta(seconds=len(places) / replay.rate),
                now=now,
            )
        return True
