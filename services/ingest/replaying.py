"""Replaying: what was rejected is appended once more, to the topic that it came from or to the one of its kind.

A slice is appended first and noted in the transaction that chose it. Killed between the two, the slice is appended
again by whoever goes on, under the same places, so it counts once. One process replays at a time, at the rate of the
settings, and each remembers in the database where it stands.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.packing import pack_replay
from services.ingest.store.rejections import RejectionStore
from services.ingest.store.replays import ReplayStore
from shared.clock import Clock
from shared.events.topics import TopicName
from shared.events.touch import SourceKind
from shared.log.errors import LogUnavailable, TopicMissing
from shared.log.protocol import EventLog
from shared.log.records import Record
from shared.postgres.engine import passes
from shared.repeating import repeat
from shared.stopping import wait_for_any
from shared.telemetry.metrics import Metrics

# Partitioned by contact: what comes from one of their partitions goes back there.
KEYED = frozenset({TopicName.TOUCHES, TopicName.CONTACTS, TopicName.HANDOFFS, TopicName.FEEDBACK})

# Where what others have on topics of their own is replayed to: their other readers are not to see it twice.
_OF_KIND: Mapping[SourceKind, str] = {"web": TopicName.EVENTS_WEB, "campaign": TopicName.EVENTS_CAMPAIGN}
NOTHING_FOREIGN: Mapping[str, SourceKind] = {}

SLICE = 200  # rejections in one transaction
SLICE_BYTES = 4 << 20
SWEEP = 1_000  # rows
SWEEP_EVERY = timedelta(minutes=5)
_IDLE = timedelta(seconds=1)  # another process may have taken the request
_SHORTEST = timedelta(milliseconds=10)


class Replaying:
    """Works off the replays that were asked for, and forgets what is too old."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        log: EventLog,
        rejections: RejectionStore,
        replays: ReplayStore,
        topics: Collection[str],
        foreign: Mapping[str, SourceKind] = NOTHING_FOREIGN,
        per_second: int,
        keep: timedelta,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._log = log
        self._rejections = rejections
        self._replays = replays
        self._destinations = {topic: topic for topic in (*topics, *KEYED)}
        self._destinations |= {topic: _OF_KIND[kind] for topic, kind in foreign.items()}
        self._per_second = per_second
        self._keep = keep
        self._metrics = metrics
        self._clock = clock
        self._asked = asyncio.Event()
        self._logger = structlog.get_logger()

    def can(self, row: Row[Any]) -> bool:
        """Tell whether the rejection can be replayed: it is whole, and its topic is one that is read."""
        return not row.incomplete and row.topic in self._destinations

    def announce(self) -> None:
        """Tell the worker that something was asked for."""
        self._asked.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Replay until told to stop; the next start goes on where this one ends."""
        while not stopping.is_set():
            self._asked.clear()
            try:
                pause = await self.step()
            except Exception as error:
                if not (isinstance(error, LogUnavailable) or passes(error)):
                    raise
                self._logger.warning("replay.waits", reason=str(error) or repr(error))
                pause = _IDLE
            if pause:
                await wait_for_any(self._asked, stopping, timeout=max(pause, _SHORTEST))

    async def step(self) -> timedelta:
        """Replay the next slice; return how long to wait before the one after it."""
        async with self._engine.begin() as connection:
            job = await self._replays.lock_oldest(connection)
            if job is None:
                return _IDLE
            now = self._clock()
            if job.next_at > now:
                wait: timedelta = job.next_at - now
                return min(wait, _IDLE)
            most = min(SLICE, self._per_second)
            rows = await self._replays.lock_next(connection, job, most=most, most_bytes=SLICE_BYTES)
            if not rows:
                await self._replays.finish(connection, job, now=now)
                self._logger.info("replay.finished", replay=str(job.id), replayed=job.replayed, skipped=job.skipped)
                return timedelta()
            replayed = await self._append([row for row in rows if self.can(row)])
            pause = timedelta(seconds=len(replayed) / self._per_second)
            await self._replays.advance(
                connection,
                job,
                replayed=replayed,
                skipped=len(rows) - len(replayed),
                last=rows[-1],
                now=now,
                next_at=now + pause,
            )
        self._metrics.rejections_replayed.inc(len(replayed))
        return pause

    async def sweep(self, stopping: asyncio.Event) -> None:
        """Forget what was last seen longer ago than it is kept, a little at a time, until told to stop."""

        async def work() -> timedelta:
            before = self._clock() - self._keep
            if await self._rejections.sweep(older_than=before, limit=SWEEP) == SWEEP:
                return timedelta()
            await self._replays.sweep(older_than=before)
            return SWEEP_EVERY

        await repeat(work, stopping, worker="ingest.rejected", retry=SWEEP_EVERY)

    async def _append(self, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
        """Append the rejections; return those whose topic is there."""
        by_topic: dict[str, list[Row[Any]]] = defaultdict(list)
        for row in rows:
            by_topic[self._destinations[row.topic]].append(row)
        appended: list[Row[Any]] = []
        for topic, group in by_topic.items():
            try:
                partitions = await self._log.partition_count(topic)
                records: list[Record] = []
                for row in group:
                    keyed = topic in KEYED
                    if not keyed or row.partition < partitions:
                        records.append(pack_replay(row, partition=row.partition if keyed else None))
                        appended.append(row)
                await self._log.append(topic, records)
            except TopicMissing as missing:
                self._logger.warning("replay.skips", reason=str(missing))
                appended = [row for row in appended if self._destinations[row.topic] != topic]
        return appended
