"""Reading a log in tests: collect records, or work through them as a service does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateSchema

from shared.log.errors import PositionLost
from shared.log.protocol import Consumer, EventLog
from shared.log.records import Batch, StoredRecord
from shared.postgres.outbox import outbox_table
from shared.postgres.positions import Positions, position_table

metadata = MetaData(schema="trial")
position = position_table(metadata)
outbox = outbox_table(metadata)

# No constraint keeps a record from being handled twice: only the positions do.
handled = Table(
    "handled",
    metadata,
    Column("consumer_group", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("member", Text, nullable=False),
)

SHORT = timedelta(milliseconds=200)


async def create_tables(engine: AsyncEngine) -> None:
    """Create the tables of a service that tests play."""
    async with engine.begin() as connection:
        await connection.execute(CreateSchema("trial"))
        await connection.run_sync(metadata.create_all)


async def read_batches(consumer: Consumer, count: int, *, max_records: int = 5000, seconds: float = 20) -> list[Batch]:
    """Fetch until so many records came."""
    batches: list[Batch] = []
    deadline = monotonic() + seconds
    while sum(len(batch.records) for batch in batches) < count:
        got = sum(len(batch.records) for batch in batches)
        assert monotonic() < deadline, f"{got} of {count} records came in {seconds} s; stalled: {consumer.stalled()}"
        batches += await consumer.fetch(max_records=max_records, timeout=SHORT)
    return batches


async def read(consumer: Consumer, count: int, *, max_records: int = 5000, seconds: float = 20) -> list[StoredRecord]:
    """Fetch until so many records came; return them."""
    batches = await read_batches(consumer, count, max_records=max_records, seconds=seconds)
    return [record for batch in batches for record in batch.records]


class Member:
    """A consumer that writes down what it handled, in the transaction that moves its positions."""

    def __init__(self, name: str, consumer: Consumer, positions: Positions) -> None:
        self.name = name
        self.consumer = consumer
        self.lost = 0
        self._positions = positions

    async def work(self) -> None:
        """Work until cancelled."""
        while True:
            batches = await self.consumer.fetch(max_records=50, timeout=SHORT)
            if batches:
                await self.handle(batches)

    async def handle(self, batches: Sequence[Batch]) -> None:
        """Handle the batches, or none of them if one was lost."""
        try:
            async with self._positions.transaction(batches) as connection:
                await connection.execute(
                    insert(handled),
                    [
                        {
                            "consumer_group": batch.group,
                            "partition": record.partition.number,
                            "offset": record.offset,
                            "member": self.name,
                        }
                        for batch in batches
                        for record in batch.records
                    ],
                )
        except PositionLost:
            self.lost += 1
            for batch in batches:
                self.consumer.rewind(batch.partition)
        else:
            await self.consumer.mirror(batches)


@asynccontextmanager
async def member(name: str, log: EventLog, group: str, topic: str, positions: Positions) -> AsyncIterator[Member]:
    """Join a group and work."""
    async with log.consume(group, [topic], positions.claim) as consumer:
        joined = Member(name, consumer, positions)
        working = asyncio.create_task(joined.work())
        try:
            yield joined
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def times_handled(engine: AsyncEngine, group: str) -> Counter[tuple[int, int]]:
    """Return how often each (partition, offset) was handled."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(handled.c.partition, handled.c.offset).where(handled.c.consumer_group == group)
        )
        return Counter((row.partition, row.offset) for row in rows)
