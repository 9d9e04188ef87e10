"""Replaying: what was asked for is sent again, a second's worth at a time.

How far a replay has come is written in the transaction that makes its deliveries due: killed at any line, it goes on
where it was, in this process or another.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.store.deliveries import DeliveryStore
from services.router.store.replays import ReplayStore
from shared.clock import Clock
from shared.postgres.engine import passes
from shared.stopping import wait_for_any

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
        self._logger = structlog.get_logger().bind(worker="router.replays")

    def wake(self) -> None:
        """Look for replays now."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Replay until told to stop."""
        while not stopping.is_set():
            self._wake.clear()
            try:
                while not stopping.is_set() and await self.step():
                    self._replayed()
            except Exception as error:
                if not passes(error):
                    raise
                self._logger.warning("replays.wait", reason=str(error))
            await wait_for_any(self._wake, stopping, timeout=POLL)

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
