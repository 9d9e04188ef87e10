"""Work that ends at one of its waits, as if its process had been killed there.

Every wait of a coroutine comes up as something that it yields, whichever library waits: for a statement, a COPY, a
COMMIT. At the chosen one all connections to the server are cut, and only then the work gets to know: nothing that it
does on its way out can reach the server.
"""

from collections.abc import Coroutine, Generator
from typing import Any

import asyncpg
from sqlalchemy import ARRAY, Integer, bindparam, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.waiting import until

_LEFT = text("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(:pids)").bindparams(
    bindparam("pids", type_=ARRAY(Integer))
)


class Killed(Exception):
    """Stands for the end of the process."""


class Mortal:
    """Runs work on an engine of its own up to a wait: the n-th, before it is over or just after."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._connections: list[asyncpg.Connection] = []
        self._pids: list[int] = []
        self._engine = engine
        event.listen(engine.sync_engine, "connect", self._opened)

    async def run(self, work: Coroutine[Any, Any, object], *, wait: int, over: bool) -> bool:
        """Return whether the work was killed; it was not when it waits less often. What fails of itself is raised."""
        async with self._engine.connect():
            pass  # connected before, so that all waits are for what the work says
        killed = await _UpTo(work, self._cut, wait=wait, over=over)
        if killed:
            await self._buried()
        return killed

    async def _buried(self) -> None:
        """Wait until the server has noticed: from then on it holds nothing for the dead any more."""
        pids = list(self._pids)
        await self._engine.dispose()
        async with self._engine.connect() as connection:

            async def gone() -> bool:
                return not await connection.scalar(_LEFT, {"pids": pids})

            await until(gone, what="the connections of the killed gone")

    def _opened(self, connection: Any, _: object) -> None:
        self._connections.append(connection.driver_connection)
        self._pids.append(connection.driver_connection.get_server_pid())

    def _cut(self) -> None:
        for connection in self._connections:
            connection.terminate()


class _UpTo:
    def __init__(self, work: Coroutine[Any, Any, object], cut: Any, *, wait: int, over: bool) -> None:
        self._work = work
        self._cut = cut
        self._wait = wait
        self._over = over

    def __await__(self) -> Generator[Any, None, bool]:
        waits = 0
        killed = False
        failure: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if failure is None else self._work.throw(failure)
            except StopIteration:
                return killed
            except Exception:
                if killed:
                    return True
                raise
            failure = None
            waits += 1
            if waits == self._wait and not self._over:
                self._cut()
                killed = True
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001  # handed on: whatever it waited for failed, or the test was cancelled
                failure = error
            if waits == self._wait:
                self._cut()
                killed, failure = True, failure or Killed()
