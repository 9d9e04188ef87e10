"""Topics on PostgreSQL: what there is, what their partitions hold, and forgetting what is too old."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.errors import LogUnavailable, TopicMissing
from shared.log.records import Partition, Topic
from shared.postgres.engine import passes
from shared.postgres.lending import lend

TRIM_ROWS = 10_000  # in one transaction

_CREATE = """
INSERT INTO log.topic (name, partitions, retention_hours)
SELECT * FROM unnest($1::text[], $2::integer[], $3::integer[]) ON CONFLICT (name) DO NOTHING
"""
_CREATE_HEADS = """
INSERT INTO log.head (topic_id, partition)
SELECT topic.id, number FROM log.topic, generate_series(0, topic.partitions - 1) AS number
WHERE topic.name = ANY($1::text[]) ON CONFLICT DO NOTHING
"""
_FIND = "SELECT id, partitions FROM log.topic WHERE name = $1"
_BOUNDS = """
SELECT head.partition, earliest, next_offset, wanted.name FROM log.head AS head
JOIN log.topic AS topic ON topic.id = head.topic_id
JOIN unnest($1::text[], $2::integer[]) AS wanted (name, number)
    ON wanted.name = topic.name AND wanted.number = head.partition
"""
_RETENTIONS = "SELECT id, partitions, retention_hours FROM log.topic"

# Deletes from the front only, so that what is left has no gap.
_TRIM = """
WITH oldest AS (
    SELECT "offset", appended_at FROM log.record
    WHERE topic_id = $1 AND partition = $2 ORDER BY "offset" LIMIT $4
), kept AS (
    SELECT coalesce(min("offset") FILTER (WHERE appended_at >= $3), max("offset") + 1) AS earliest FROM oldest
), deleted AS (
    DELETE FROM log.record
    WHERE topic_id = $1 AND partition = $2 AND "offset" < (SELECT earliest FROM kept) RETURNING 1
), moved AS (
    UPDATE log.head AS head SET earliest = kept.earliest FROM kept
    WHERE head.topic_id = $1 AND head.partition = $2 AND kept.earliest > head.earliest
)
SELECT count(*) FROM deleted
"""


class KnownTopic(NamedTuple):
    """A topic that exists."""

    id: int
    partitions: int


class Topics:
    """The topics of one database. Every method raises LogUnavailable within the timeout."""

    def __init__(self, engine: AsyncEngine, *, timeout: timedelta) -> None:
        self._engine = engine
        self._timeout = timeout
        self._known: dict[str, KnownTopic] = {}

    async def create(self, topics: Sequence[Topic]) -> None:
        """Create the topics that are missing."""
        names = [topic.name for topic in topics]
        async with self._ask() as connection, connection.transaction():
            await connection.execute(
                _CREATE, names, [topic.partitions for topic in topics], [topic.retention_hours for topic in topics]
            )
            await connection.execute(_CREATE_HEADS, names)

    async def find(self, name: str) -> KnownTopic:
        """Return a topic, from memory once it was found. Raises TopicMissing."""
        if name not in self._known:
            async with self._ask() as connection:
                row = await connection.fetchrow(_FIND, name)
            if row is None:
                raise TopicMissing(name)
            self._known[name] = KnownTopic(row["id"], row["partitions"])
        return self._known[name]

    def forget(self, name: str) -> None:
        """Look a topic up again the next time."""
        self._known.pop(name, None)

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the earliest offset held and the next one to be given of each. Raises TopicMissing."""
        names = [partition.topic for partition in partitions]
        numbers = [partition.number for partition in partitions]
        async with self._ask() as connection:
            rows = await connection.fetch(_BOUNDS, names, numbers)
        found = {Partition(row["name"], row["partition"]): (row["earliest"], row["next_offset"]) for row in rows}
        for partition in partitions:
            if partition not in found:
                self.forget(partition.topic)
                raise TopicMissing(partition.topic)
        return found

    async def trim(self, now: datetime) -> int:
        """Delete the records that are older than the retention of their topic; return how many there were."""
        trimmed = 0
        async with self._ask() as connection:
            topics = await connection.fetch(_RETENTIONS)
        for topic in topics:
            before = now - timedelta(hours=topic["retention_hours"])
            for number in range(topic["partitions"]):
                deleted = TRIM_ROWS
                while deleted == TRIM_ROWS:
                    async with self._ask() as connection:
                        deleted = await connection.fetchval(_TRIM, topic["id"], number, before, TRIM_ROWS)
                    trimmed += deleted
        return trimmed

    @asynccontextmanager
    async def _ask(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with lend(self._engine, timeout=self._timeout) as connection:
                yield connection
        except Exception as error:
            if passes(error):
                raise LogUnavailable(f"PostgreSQL does not answer: {error!r}") from error
            raise
