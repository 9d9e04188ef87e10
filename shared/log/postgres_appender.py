"""Appends to the log on PostgreSQL, many callers to a transaction.

While one transaction is in flight the callers that come wait together and go with the next: commits that notify queue
for one lock of the server, so a thousand small ones would wait for each other anyway.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.errors import LogUnavailable
from shared.postgres.engine import passes
from shared.postgres.lending import lend

GROUP_ROWS = 5000
GROUP_BYTES = 16 << 20

_APPEND = "SELECT log.append($1::smallint[], $2::integer[], $3::bytea[], $4::bytea[], $5::bytea[])"


class Row(NamedTuple):
    """A record in its place."""

    topic_id: int
    partition: int
    key: bytes | None
    value: bytes
    headers: bytes | None


class TopicGone(Exception):
    """Raised when a topic that was looked up before is no longer there."""


@dataclass(slots=True, eq=False)
class _Entry:
    """What one caller appends, and what becomes of it."""

    rows: Sequence[Row]
    size_bytes: int
    outcome: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Appender:
    """Stores rows; each caller gets its own outcome."""

    def __init__(self, engine: AsyncEngine, *, timeout: timedelta) -> None:
        self._engine = engine
        self._timeout = timeout
        self._waiting: deque[_Entry] = deque()
        self._flights: asyncio.Task[None] | None = None

    async def append(self, rows: Sequence[Row], size_bytes: int) -> None:
        """Store the rows whole or not at all. A caller that gives up while it waits has stored nothing."""
        entry = _Entry(rows, size_bytes)
        self._waiting.append(entry)
        if self._flights is None or self._flights.done():
            self._flights = asyncio.create_task(self._fly())
        await entry.outcome

    async def close(self) -> None:
        """Give up what is in flight."""
        if self._flights:
            self._flights.cancel()
            await asyncio.gather(self._flights, return_exceptions=True)
        for entry in self._waiting:
            if not entry.outcome.done():
                entry.outcome.set_exception(LogUnavailable("The log is closed."))

    async def _fly(self) -> None:
        while group := self._next_group():
            rows = [row for entry in group for row in entry.rows]
            (error,) = await asyncio.gather(self._store(rows), return_exceptions=True)
            for entry in group:
                if entry.outcome.done():
                    continue
                if error:
                    entry.outcome.set_exception(error)
                else:
                    entry.outcome.set_result(None)

    def _next_group(self) -> list[_Entry]:
        group: list[_Entry] = []
        rows = size = 0
        while self._waiting:
            entry = self._waiting[0]
            if group and (rows + len(entry.rows) > GROUP_ROWS or size + entry.size_bytes > GROUP_BYTES):
                break
            self._waiting.popleft()
            if not entry.outcome.done():
                group.append(entry)
                rows += len(entry.rows)
                size += entry.size_bytes
        return group

    async def _store(self, rows: Sequence[Row]) -> None:
        try:
            async with lend(self._engine, timeout=self._timeout) as connection:
                await connection.execute(_APPEND, *map(list, zip(*rows, strict=True)))
        except asyncpg.NoDataFoundError as error:
            raise TopicGone from error
        except Exception as error:
            if passes(error):
                raise LogUnavailable(f"PostgreSQL did not store the records: {error!r}") from error
            raise
