"""The log on PostgreSQL, for where it is the only server: a laptop, a test, a small company."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.absences import Absences
from shared.log.errors import LogUnavailable, TopicMissing
from shared.log.placement import check_sizes, place
from shared.log.postgres_appender import Appender, Row, TopicGone
from shared.log.postgres_consumer import PostgresConsumer
from shared.log.postgres_topics import KnownTopic, Topics
from shared.log.protocol import ClaimPosition, Consumer, EventLog
from shared.log.records import Partition, Record, Topic
from shared.postgres.engine import open_engine, passes
from shared.postgres.lending import lend

REACHABLE_TIMEOUT = timedelta(seconds=2)

_encode_headers = msgspec.msgpack.Encoder().encode


@asynccontextmanager
async def open_postgres_log(
    url: str, *, name: str, append_timeout: timedelta = timedelta(seconds=5)
) -> AsyncIterator[EventLog]:
    """Open the log in a database that `shared.postgres.migrate` has prepared; the server may be away."""
    async with open_engine(url, name=f"{name}-log", pool_size=4) as engine:
        appender = Appender(engine, timeout=append_timeout)
        try:
            yield PostgresLog(engine, appender, append_timeout=append_timeout)
        finally:
            await appender.close()


class PostgresLog:
    """The log in one database."""

    def __init__(self, engine: AsyncEngine, appender: Appender, *, append_timeout: timedelta) -> None:
        self._engine = engine
        self._appender = appender
        self._append_timeout = append_timeout
        self._topics = Topics(engine, timeout=append_timeout)
        self._absences = Absences()

    async def create_topics(self, topics: Sequence[Topic]) -> None:
        """Create what is missing."""
        await self._topics.create(topics)

    async def partition_count(self, topic: str) -> int:
        """Return the number of partitions."""
        return (await self._topics.find(topic)).partitions

    async def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the earliest offset held and the next one to be given."""
        return (await self._topics.bounds([partition]))[partition]

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Store the records in one transaction, all or none, together with what others append at the moment."""
        size_bytes = check_sizes(topic, records)
        if not records:
            return
        try:
            async with asyncio.timeout(self._append_timeout.total_seconds()):
                known = await self._topics.find(topic)
                await self._appender.append(_rows(known, records), size_bytes)
        except TimeoutError as error:
            raise LogUnavailable(f"PostgreSQL did not store the records in {self._append_timeout}.") from error
        except TopicGone as error:
            self._topics.forget(topic)
            raise TopicMissing(topic) from error

    def consume(
        self, group: str, topics: Sequence[str], claim: ClaimPosition, *, optional: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Consumer]:
        """Join the group."""
        return PostgresConsumer(
            self._engine, self._topics, group, topics, claim, optional=optional, absences=self._absences
        ).joined()

    async def reachable(self) -> bool:
        """Tell whether the server answers and takes writes."""
        try:
            async with lend(self._engine, timeout=REACHABLE_TIMEOUT) as connection:
                return bool(await connection.fetchval("SELECT current_setting('transaction_read_only') = 'off'"))
        except Exception as error:
            if passes(error):
                return False
            raise

    async def trim(self, now: datetime) -> int:
        """Forget the records whose retention has passed; return how many there were. Consumers do so, too."""
        return await self._topics.trim(now)


def _rows(topic: KnownTopic, records: Sequence[Record]) -> list[Row]:
    numbers = place(records, partitions=topic.partitions, anywhere=random.randrange(topic.partitions))
    return [
        Row(topic.id, number, record.key, record.value, _encode_headers(record.headers) if record.headers else None)
        for number, record in zip(numbers, records, strict=True)
    ]
