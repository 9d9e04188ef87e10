"""The bell: whoever makes deliveries rings once for a batch, in this process and all others. Who misses it polls."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.store.deliveries import CHANNEL, rung_for
from shared.repeating import repeat
from shared.stopping import wait_for_any

AGAIN = timedelta(seconds=2)  # after the connection broke
LOOK = timedelta(minutes=1)


class Bell:
    """Listens until told to stop. `rung` gets the endpoints that there may be something for; None: any."""

    def __init__(self, engine: AsyncEngine, *, rung: Callable[[Collection[str] | None], None]) -> None:
        self._engine = engine
        self._rung = rung

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until told to stop; what rang while the connection was away is found by whoever polls."""

        async def work() -> timedelta:
            await self._listen(stopping)
            return AGAIN

        await repeat(work, stopping, worker="router.bell", retry=AGAIN)

    async def _listen(self, stopping: asyncio.Event) -> None:
        broken = asyncio.Event()

        def heard(_connection: Any, _process: int, _channel: str, payload: Any) -> None:
            self._rung(rung_for(str(payload)))

        async with self._engine.connect() as pooled:
            raw = await pooled.get_raw_connection()
            connection: asyncpg.Connection = raw.driver_connection
            raw.detach()  # kept for long, so it must not count against the pool
            try:
                connection.add_termination_listener(lambda _: broken.set())
                await connection.add_listener(CHANNEL, heard)
                while not (broken.is_set() or stopping.is_set()):
                    await wait_for_any(broken, stopping, timeout=LOOK)
            finally:
                connection.terminate()
