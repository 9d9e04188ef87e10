"""Outbox: what a transaction wants to say to the log, kept until the log has acknowledged it.

A message is written in the transaction of the decision and appended by the relay afterwards, under an id derived from
the record that caused it. The relay deletes after the acknowledgement, so a crash between the two repeats a message
under the same id (record header `tandem-id`); consumers drop ids that they have seen.

Messages of one key keep their order if the transactions that write them exclude each other, by a row lock for example.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Identity,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.ids import MessageId
from shared.log.errors import LogUnavailable
from shared.log.protocol import EventLog
from shared.log.records import Record
from shared.postgres.array_insert import ArrayInsert
from shared.postgres.engine import passes
from shared.stopping import wait_for_any

MESSAGE_ID_HEADER = "tandem-id"
TRACE_HEADER = "traceparent"

RELAY_BATCH = 500  # messages
POLL = timedelta(milliseconds=500)  # backstop: other processes' messages are not announced here


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message for one topic; messages with one key keep their order."""

    id: MessageId
    topic: str
    key: bytes
    value: bytes
    traceparent: str | None = None


def outbox_table(metadata: MetaData) -> Table:
    """Declare the table in the schema of the service."""
    return Table(
        "outbox",
        metadata,
        Column("ordinal", BigInteger, Identity(always=True), primary_key=True),
        Column("id", UUID(as_uuid=True), nullable=False, unique=True),
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("traceparent", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


class Outbox:
    """One service's outbox and its relay."""

    def __init__(self, engine: AsyncEngine, table: Table, log: EventLog) -> None:
        self._engine = engine
        self._table = table
        self._log = log
        self._written = asyncio.Event()
        # Built once: these run for every message.
        self._put = ArrayInsert(table, ["id", "topic", "key", "value", "traceparent"], unless=["id"])
        self._next = select(table).order_by(table.c.ordinal).limit(RELAY_BATCH).with_for_update()
        self._delete = delete(table).where(table.c.ordinal == func.any(bindparam("relayed", type_=ARRAY(BigInteger))))

    async def put(self, connection: AsyncConnection, messages: Sequence[OutboxMessage]) -> None:
        """Write the messages in the caller's transaction; an id already waiting is kept once.

        Call `announce` after the commit, so that the relay need not wait for its poll.
        """
        if messages:
            await self._put.execute(
                connection,
                [
                    {
                        "id": message.id,
                        "topic": message.topic,
                        "key": message.key,
                        "value": message.value,
                        "traceparent": message.traceparent,
                    }
                    for message in messages
                ],
            )

    def announce(self) -> None:
        """Wake the relay of this process."""
        self._written.set()

    async def waiting(self, now: datetime) -> tuple[int, timedelta]:
        """Return how many messages wait, and for how long the oldest has."""
        table = self._table.c
        async with self._engine.connect() as connection:
            count, oldest = (
                await connection.execute(select(func.count(table.ordinal), func.min(table.created_at)))
            ).one()
        return count, max(timedelta(), now - oldest) if oldest else timedelta()

    async def relay_once(self) -> int:
        """Append one batch to the log and delete it; return how many messages it held.

        Relays lock rows in one order and wait for the first that another holds: messages of one key stay in order.
        Raises LogUnavailable with the messages kept.
        """
        async with self._engine.begin() as connection:
            rows = (await connection.execute(self._next)).all()
            by_topic: dict[str, list[Record]] = defaultdict(list)
            for row in rows:
                by_topic[row.topic].append(_record(row))
            for topic, records in by_topic.items():
                await self._log.append(topic, records)
            if rows:
                await connection.execute(self._delete, {"relayed": [row.ordinal for row in rows]})
        return len(rows)

    async def relay(self, stopping: asyncio.Event) -> None:
        """Relay until told to stop; what is left then is relayed by the next start."""
        logger = structlog.get_logger().bind(outbox=self._table.schema)
        while not stopping.is_set():
            self._written.clear()
            try:
                relayed = await self.relay_once()
            except Exception as error:
                if not (isinstance(error, LogUnavailable) or passes(error)):
                    raise
                logger.warning("outbox.waits", reason=str(error))
                relayed = 0
            if relayed < RELAY_BATCH:
                await wait_for_any(self._written, stopping, timeout=POLL)


def _record(row: Row[Any]) -> Record:
    headers = [(MESSAGE_ID_HEADER, str(row.id).encode())]
    if row.traceparent:
        headers.append((TRACE_HEADER, row.traceparent.encode()))
    return Record(value=row.value, key=row.key, headers=tuple(headers))
