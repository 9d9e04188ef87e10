"""Reading the log on PostgreSQL: one statement fetches from all partitions that are ours."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from time import monotonic
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.absences import Absences
from shared.log.claims import Claims, Standing
from shared.log.errors import LogUnavailable
from shared.log.postgres_membership import Membership
from shared.log.postgres_topics import Topics
from shared.log.protocol import FETCH_BYTES, ClaimPosition
from shared.log.records import Batch, Headers, Partition, StoredRecord
from shared.postgres.engine import passes
from shared.postgres.lending import lend
from shared.stopping import wait_for_any

FETCH_TIMEOUT = timedelta(seconds=15)
POLL = timedelta(seconds=1)  # in case a notification was lost
FAILURE_PAUSE = timedelta(milliseconds=200)
TRIM_EVERY = timedelta(minutes=5)

# The inner LIMIT ends each index scan, the outer one the whole walk over the partitions, which go in the order given.
# Large values lie outside the row: their size is known without reading them.
_FETCH = """
SELECT topic_id, partition, "offset", key, value, headers, appended_at FROM (
    SELECT *, sum(octet_length(value) + coalesce(octet_length(key), 0)) OVER (ROWS UNBOUNDED PRECEDING)
        - octet_length(value) AS bytes_before
    FROM (
        SELECT record.* FROM unnest($1::smallint[], $2::integer[], $3::bigint[]) AS wanted (topic_id, number, position)
        CROSS JOIN LATERAL (
            SELECT * FROM log.record
            WHERE record.topic_id = wanted.topic_id AND record.partition = wanted.number
                AND record."offset" >= wanted.position
            ORDER BY record."offset" LIMIT $4
        ) AS record
        LIMIT $4
    ) AS found
) AS measured
WHERE bytes_before < $5
"""

_decode_headers = msgspec.msgpack.Decoder(Headers).decode


class PostgresConsumer:
    """One member of a group."""

    def __init__(
        self,
        engine: AsyncEngine,
        topics: Topics,
        group: str,
        names: Sequence[str],
        claim: ClaimPosition,
        *,
        optional: Sequence[str],
        absences: Absences,
    ) -> None:
        self._engine = engine
        self._topics = topics
        self._group = group
        self._absences = absences
        self._news = asyncio.Event()  # there may be something to read
        self._next_look = 0.0
        self._first = 0  # which partition the next fetch begins with
        self._claims = Claims(group, claim=claim, bounds=topics.bounds, ready=lambda *_: self._news.set())
        self._membership = Membership(
            engine,
            topics,
            group,
            names,
            optional=optional,
            absences=absences,
            taken=self._claims.take,
            lost=self._claims.drop,
            appended=self._news.set,
        )
        self._logger = structlog.get_logger().bind(group=group)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["PostgresConsumer"]:
        """Join the group, and leave it at the end."""
        self._tasks = asyncio.create_task(self._membership.run()), asyncio.create_task(self._keep_trimmed())
        try:
            yield self
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._claims.close()

    async def fetch(self, *, max_records: int, max_bytes: int = FETCH_BYTES, timeout: timedelta) -> list[Batch]:
        """Return what is there, or [] after the timeout."""
        deadline = monotonic() + timeout.total_seconds()
        while True:
            self._raise_what_is_final()
            if self._news.is_set() or monotonic() >= self._next_look:
                self._news.clear()
                self._next_look = monotonic() + POLL.total_seconds()
                batches = await self._read(max_records, max_bytes)
                if batches:
                    self._news.set()  # there may be more
                    return batches
            left = deadline - monotonic()
            if left <= 0:
                return []
            await wait_for_any(self._news, timeout=timedelta(seconds=min(left, POLL.total_seconds())))

    def rewind(self, partition: Partition) -> None:
        """Read the partition again from its stored position."""
        self._claims.rewind(partition)

    async def mirror(self, batches: Sequence[Batch]) -> None:
        """Do nothing: operators look for lag where the positions are, beside the log."""

    def assigned(self) -> frozenset[Partition]:
        """Return the partitions that are being read."""
        return frozenset(self._claims.standings())

    def absent(self) -> frozenset[str]:
        """Return the optional topics that are not there."""
        return self._absences.of(self._group)

    def stalled(self) -> tuple[str, ...]:
        """Return a line for each partition that stands still."""
        return self._claims.stalled()

    def _raise_what_is_final(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()
        if self._membership.missing:
            raise self._membership.missing

    async def _read(self, max_records: int, max_bytes: int) -> list[Batch]:
        standings = sorted(self._claims.standings().items())
        if not standings:
            return []
        self._first %= len(standings)
        standings = standings[self._first :] + standings[: self._first]
        try:
            topics = {name: await self._topics.find(name) for name in {partition.topic for partition, _ in standings}}
            async with lend(self._engine, timeout=FETCH_TIMEOUT) as connection:
                rows = await connection.fetch(
                    _FETCH,
                    [topics[partition.topic].id for partition, _ in standings],
                    [partition.number for partition, _ in standings],
                    [standing.position for _, standing in standings],
                    max_records,
                    max_bytes,
                )
        except Exception as error:
            if not (isinstance(error, LogUnavailable) or passes(error)):
                raise
            self._logger.warning("fetch.waits", reason=repr(error))
            self._news.set()
            await asyncio.sleep(FAILURE_PAUSE.total_seconds())
            return []
        names = {topic.id: name for name, topic in topics.items()}
        before = dict(standings)
        batches = []
        for (topic_id, number), found in groupby(rows, key=lambda row: (row["topic_id"], row["partition"])):
            partition = Partition(names[topic_id], number)
            if batch := self._batch(partition, before[partition], list(found)):
                batches.append(batch)
        if rows:
            last = Partition(names[rows[-1]["topic_id"]], rows[-1]["partition"])
            self._first += next(index for index, (partition, _) in enumerate(standings) if partition == last) + 1
        return batches

    def _batch(self, partition: Partition, standing: Standing, rows: Sequence[Any]) -> Batch | None:
        if self._claims.standing(partition) is not standing:
            return None  # lost or rewound meanwhile
        position = standing.position
        if (rows[0]["offset"], rows[-1]["offset"]) != (position, position + len(rows) - 1):
            self._claims.rewind(partition)  # trimmed under our feet; the claim says so
            return None
        standing.position += len(rows)
        return Batch(
            group=self._group,
            partition=partition,
            epoch=standing.epoch,
            position=position,
            next_position=standing.position,
            records=tuple(
                StoredRecord(
                    partition,
                    row["offset"],
                    row["key"],
                    row["value"],
                    _decode_headers(row["headers"]) if row["headers"] else (),
                    row["appended_at"],
                )
                for row in rows
            ),
        )

    async def _keep_trimmed(self) -> None:
        """Forget old records, one member for all: whoever reads a partition 0."""
        while True:
            await asyncio.sleep(TRIM_EVERY.total_seconds())
            if any(partition.number == 0 for partition in self._claims.standings()):
                with suppress(LogUnavailable):
                    await self._topics.trim(datetime.now(UTC))
