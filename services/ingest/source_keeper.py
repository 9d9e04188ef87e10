"""The worker that keeps what this process knows of sources close to what the database says, and counts their use.

PostgreSQL away: what is known stays as it is, and what was accepted is added later. Killed: what was accepted since the
last turn is missing from the quota's count, and from nothing else. The answer to an addition lost: it may count twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.domain.quota import day_of
from services.ingest.domain.source import Source
from services.ingest.domain.source_key import SourceKey
from services.ingest.metering import Meter
from services.ingest.sources import Book, SourceDirectory
from services.ingest.store.sources import SourceStore, StoredSource
from services.ingest.store.usage import UsageStore
from shared.clock import Clock
from shared.postgres.engine import passes
from shared.repeating import repeat
from shared.secrets import SecretBox, SecretsError
from shared.telemetry.metrics import Metrics

TURN_TIMEOUT = timedelta(seconds=10)
USAGE_KEPT = timedelta(days=400)  # a year, and the month before it to compare with
SWEEP = 1_000  # rows
SWEEP_EVERY = timedelta(hours=1)


class SourceKeeper:
    """Reads sources when they have changed; adds what they have sent."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        directory: SourceDirectory,
        meter: Meter,
        secrets: SecretBox,
        metrics: Metrics,
        clock: Clock,
        interval: timedelta,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._meter = meter
        self._secrets = secrets
        self._metrics = metrics
        self._clock = clock
        self._interval = interval
        self._sources = SourceStore()
        self._usage = UsageStore()
        self._version: int | None = None
        self._away = False
        self._refreshing = asyncio.Lock()
        self._flushing = asyncio.Lock()
        self._logger = structlog.get_logger()

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep on until told to stop."""
        while not stopping.is_set():
            await self._turn()
            try:
                async with asyncio.timeout(self._interval.total_seconds()):
                    await stopping.wait()
            except TimeoutError:
                continue

    async def sweep(self, stopping: asyncio.Event) -> None:
        """Forget what was sent longer ago than anybody asks for, a little at a time, until told to stop."""

        async def work() -> timedelta:
            async with self._engine.begin() as connection:
                before = day_of(self._clock()) - USAGE_KEPT
                swept = await self._usage.forget(connection, before=before, limit=SWEEP)
            return SWEEP_EVERY if swept < SWEEP else timedelta()

        await repeat(work, stopping, worker="ingest.usage", retry=SWEEP_EVERY)

    def missing(self) -> tuple[str, ...]:
        """Return what this process lacks before it knows whom to accept."""
        return () if self._directory.known else ("the sources have not been read",)

    async def hurry(self) -> None:
        """Read what this process has just changed; where that fails, the next turn does it."""
        await self._tried(self._refresh)

    async def _refresh(self) -> None:
        async with self._refreshing:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                version = await self._sources.version(connection)
                if version == self._version:
                    return
                stored = await self._sources.all(connection)
            self._directory.learn(self._book(stored))
            self._version = version
            await self._renew(stored)

    async def _flush(self) -> None:
        async with self._flushing:
            added = self._meter.unflushed()
            today = day_of(self._clock())
            async with self._engine.begin() as connection:
                await self._usage.add(connection, added)
                totals = await self._usage.of_day(connection, today)
            self._meter.flushed(added, totals)
        for name, part in self._meter.quota_used(self._directory.all()).items():
            self._metrics.source_quota_used.labels(name).set(part)

    async def close(self) -> None:
        """Add what the last requests brought, if the database takes it."""
        if self._meter.unflushed():
            await self._tried(self._flush)

    async def _turn(self) -> None:
        if await self._tried(self._refresh) and await self._tried(self._flush):
            self._away = False

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do the work; False when the database is away, which is told once."""
        try:
            async with asyncio.timeout(TURN_TIMEOUT.total_seconds()):
                await work()
        except Exception as error:
            if not passes(error):
                raise
            if not self._away:
                self._logger.warning("sources.database_away", error=repr(error))
            self._away = True
            return False
        return True

    def _book(self, stored: Sequence[StoredSource]) -> Book:
        sources: dict[str, Source] = {}
        keys: dict[bytes, tuple[SourceKey, str]] = {}
        sealed: set[str] = set()
        for one in stored:
            name = one.source.name
            if name in self._directory.in_file():
                self._logger.warning("source.shadowed", source=name, by="the keys file")
            try:
                secrets = tuple(self._secrets.open(secret) for secret in one.sealed)
            except SecretsError as error:
                self._logger.warning("source.secret_unreadable", source=name, reason=str(error))
                secrets = ()
                sealed.add(name)
            sources[name] = msgspec.structs.replace(one.source, secrets=secrets)
            keys |= {key.digest: (key, name) for key in one.keys}
        largest_body = max((source.allowance.max_body_bytes or 0 for source in sources.values()), default=0)
        return Book(sources, keys, frozenset(sealed), largest_body)

    async def _renew(self, stored: Sequence[StoredSource]) -> None:
        """Encrypt with the newest key what an older one was used for, so that the older can be left out one day."""
        for one in stored:
            try:
                renewed = [self._secrets.renewed(secret) for secret in one.sealed]
            except SecretsError:
                continue  # told when the book was read
            if any(renewed):
                after = [new or old for new, old in zip(renewed, one.sealed, strict=True)]
                async with self._engine.begin() as connection:
                    await self._sources.reseal(connection, one.source.name, before=one.sealed, after=after)
