"""Positions: where a consumer group stands, kept in the transaction of the work itself.

One row per (group, topic, partition). `claim` bumps the epoch and returns the offset; the row lock waits out the open
transaction of an owner that was cut off. Each batch begins with a compare-and-swap on epoch and offset, so a crash, a
zombie or a rebalance can repeat work but never apply it twice.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningUpdate

from shared.log.errors import PositionLost, PositionOutside
from shared.log.records import Batch, Claim, Partition


def position_table(metadata: MetaData) -> Table:
    """Declare the table in the schema of the service."""
    return Table(
        "position",
        metadata,
        Column("consumer_group", Text, primary_key=True),
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next_offset", BigInteger, nullable=False),
        Column("owner_epoch", BigInteger, nullable=False),
        Column("owner", Text, nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        postgresql_with={"fillfactor": 50},
    )


class Positions:
    """The positions of one service's groups, in that service's database."""

    def __init__(self, engine: AsyncEngine, table: Table, *, owner: str) -> None:
        self._engine = engine
        self._table = table
        self._owner = owner
        self._advance = _advance(table)

    async def claim(self, group: str, partition: Partition, earliest: int, end: int) -> Claim:
        """Take the partition over and return where to read on. Raises PositionOutside."""
        position = self._table.c
        statement = insert(self._table).values(
            consumer_group=group,
            topic=partition.topic,
            partition=partition.number,
            next_offset=earliest,
            owner_epoch=1,
            owner=self._owner,
        )
        statement = statement.on_conflict_do_update(
            index_elements=[position.consumer_group, position.topic, position.partition],
            set_={
                "owner_epoch": position.owner_epoch + 1,
                "owner": statement.excluded.owner,
                "updated_at": func.now(),
            },
        )
        async with self._engine.begin() as connection:
            row = (await connection.execute(statement.returning(position.owner_epoch, position.next_offset))).one()
            if not earliest <= row.next_offset <= end:
                raise PositionOutside(partition, position=row.next_offset, earliest=earliest, end=end)
        return Claim(epoch=row.owner_epoch, position=row.next_offset)

    async def advance(self, connection: AsyncConnection, batches: Sequence[Batch]) -> None:
        """Move the positions past the batches: the first statement of their transaction. Raises PositionLost."""
        moved = await connection.execute(
            self._advance,
            {
                "groups": [batch.group for batch in batches],
                "topics": [batch.partition.topic for batch in batches],
                "partitions": [batch.partition.number for batch in batches],
                "epochs": [batch.epoch for batch in batches],
                "olds": [batch.position for batch in batches],
                "news": [batch.next_position for batch in batches],
            },
        )
        kept = {Partition(row.topic, row.partition) for row in moved}
        lost = [batch.partition for batch in batches if batch.partition not in kept]
        if lost:
            raise PositionLost(lost)

    @asynccontextmanager
    async def transaction(self, batches: Sequence[Batch]) -> AsyncIterator[AsyncConnection]:
        """Open the transaction in which the batches are processed, exactly once. Raises PositionLost."""
        async with self._engine.begin() as connection:
            await self.advance(connection, batches)
            yield connection

    async def read(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the stored positions of the partitions that have one."""
        position = self._table.c
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(position.topic, position.partition, position.next_offset).where(
                    position.consumer_group == group,
                    tuple_(position.topic, position.partition).in_([tuple(partition) for partition in partitions]),
                )
            )
            return {Partition(row.topic, row.partition): row.next_offset for row in rows}


def _advance(table: Table) -> ReturningUpdate[tuple[str, int]]:
    """Build the statement once: every batch of every service begins with it."""
    position = table.c
    steps = (
        func.unnest(
            bindparam("groups", type_=ARRAY(Text)),
            bindparam("topics", type_=ARRAY(Text)),
            bindparam("partitions", type_=ARRAY(Integer)),
            bindparam("epochs", type_=ARRAY(BigInteger)),
            bindparam("olds", type_=ARRAY(BigInteger)),
            bindparam("news", type_=ARRAY(BigInteger)),
        )
        .table_valued("consumer_group", "topic", "partition", "epoch", "old", "new", name="step")
        .render_derived()
    )
    return (
        update(table)
        .where(
            position.consumer_group == steps.c.consumer_group,
            position.topic == steps.c.topic,
            position.partition == steps.c.partition,
            position.owner_epoch == steps.c.epoch,
            position.next_offset == steps.c.old,
        )
        .values(next_offset=steps.c.new, updated_at=func.now())
        .returning(position.topic, position.partition)
    )
