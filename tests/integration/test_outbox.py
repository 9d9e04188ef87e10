"""The outbox: what a transaction decided reaches the log, under one id, in order."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.ids import message_id
from shared.log.errors import LogUnavailable
from shared.log.protocol import EventLog
from shared.log.records import Record, StoredRecord
from shared.postgres.outbox import MESSAGE_ID_HEADER, RELAY_BATCH, TRACE_HEADER, Outbox, OutboxMessage
from shared.postgres.positions import Positions
from tests.support.reading import outbox as table
from tests.support.reading import read
from tests.support.trial import engine, log, positions, topic

__all__ = ["engine", "log", "positions", "topic"]


class Forgetful:
    """A log that takes what it is given, and loses its first acknowledgements."""

    def __init__(self, log: EventLog, *, losses: int) -> None:
        self._log = log
        self._losses = losses

    async def append(self, topic: str, records: Sequence[Record]) -> None:
        """Append, and perhaps fail to say so."""
        await self._log.append(topic, records)
        if self._losses:
            self._losses -= 1
            raise LogUnavailable

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)


def message(topic: str, number: int, *, key: bytes = b"key", traceparent: str | None = None) -> OutboxMessage:
    return OutboxMessage(message_id("cause", 0, number, 0), topic, key, str(number).encode(), traceparent)


async def put(engine: AsyncEngine, outbox: Outbox, messages: Sequence[OutboxMessage]) -> None:
    async with engine.begin() as connection:
        await outbox.put(connection, messages)


async def everything(log: EventLog, topic: str, positions: Positions, count: int) -> list[StoredRecord]:
    """Read the topic up to a last record that comes after all others."""
    for number in range(2):
        await log.append(topic, [Record(b"last", partition=number)])
    async with log.consume("reader", [topic], positions.claim) as consumer:
        records = await read(consumer, count + 2)
    return [record for record in records if record.value != b"last"]


async def test_messages_reach_the_log_in_order(
    engine: AsyncEngine, log: EventLog, topic: str, positions: Positions
) -> None:
    """A relayed message carries its id and its trace, and leaves the outbox."""
    outbox = Outbox(engine, table, log)
    await put(engine, outbox, [message(topic, 0, traceparent="00-ab-cd-01"), message(topic, 1)])
    await put(engine, outbox, [message(topic, 2)])

    assert (await outbox.waiting(datetime.now(UTC)))[0] == 3
    assert await outbox.relay_once() == 3
    assert await outbox.waiting(datetime.now(UTC)) == (0, timedelta())
    records = await everything(log, topic, positions, 3)
    assert [record.value for record in records] == [b"0", b"1", b"2"]
    assert [record.header(MESSAGE_ID_HEADER) for record in records] == [
        str(message(topic, number).id).encode() for number in range(3)
    ]
    assert records[0].header(TRACE_HEADER) == b"00-ab-cd-01"
    assert records[1].header(TRACE_HEADER) is None


async def test_a_transaction_that_fails_says_nothing(engine: AsyncEngine, log: EventLog, topic: str) -> None:
    """A message exists exactly if its decision does."""
    outbox = Outbox(engine, table, log)
    async with engine.connect() as connection:
        await outbox.put(connection, [message(topic, 0)])
        await connection.rollback()

    assert await outbox.relay_once() == 0


async def test_an_id_that_waits_is_kept_once(engine: AsyncEngine, log: EventLog, topic: str) -> None:
    """A decision made again while its message still waits does not say it twice."""
    outbox = Outbox(engine, table, log)
    await put(engine, outbox, [message(topic, 0), message(topic, 0)])
    await put(engine, outbox, [message(topic, 0)])

    assert await outbox.relay_once() == 1


async def test_a_lost_acknowledgement_repeats_messages_under_their_ids(
    engine: AsyncEngine, log: EventLog, topic: str, positions: Positions
) -> None:
    """Between the log's yes and the deletion anything may happen: consumers can tell the repeat by its id."""
    outbox = Outbox(engine, table, Forgetful(log, losses=1))  # type: ignore[arg-type]
    await put(engine, outbox, [message(topic, 0), message(topic, 1)])
    with pytest.raises(LogUnavailable):
        await outbox.relay_once()
    assert (await outbox.waiting(datetime.now(UTC)))[0] == 2

    assert await outbox.relay_once() == 2
    records = await everything(log, topic, positions, 4)
    assert [record.value for record in records] == [b"0", b"1", b"0", b"1"]
    assert len({record.header(MESSAGE_ID_HEADER) for record in records}) == 2


async def test_relays_take_turns(engine: AsyncEngine, log: EventLog, topic: str, positions: Positions) -> None:
    """However many processes relay at the same time, a message goes once and each key keeps its order."""
    outboxes = [Outbox(engine, table, log) for _ in range(3)]
    keys = [f"key-{number}".encode() for number in range(5)]
    count = RELAY_BATCH * 3
    await put(engine, outboxes[0], [message(topic, number, key=keys[number % 5]) for number in range(count)])

    async def relay(outbox: Outbox) -> int:
        relayed = 0
        while batch := await outbox.relay_once():
            relayed += batch
        return relayed

    assert sum(await asyncio.gather(*map(relay, outboxes))) == count
    by_key = defaultdict(list)
    for record in await everything(log, topic, positions, count):
        by_key[record.key].append(int(record.value))
    assert by_key == {key: list(range(first, count, 5)) for first, key in enumerate(keys)}


async def test_an_announced_message_does_not_wait_for_the_poll(
    engine: AsyncEngine, log: EventLog, topic: str, positions: Positions
) -> None:
    """The relay of the process that wrote is woken, survives a log that is away, and ends when told to."""
    outbox = Outbox(engine, table, Forgetful(log, losses=2))  # type: ignore[arg-type]
    stopping = asyncio.Event()
    relaying = asyncio.create_task(outbox.relay(stopping))
    async with log.consume("reader", [topic], positions.claim) as consumer:
        await put(engine, outbox, [message(topic, 0)])
        outbox.announce()
        ids = {record.header(MESSAGE_ID_HEADER) for record in await read(consumer, 3)}
    stopping.set()
    await relaying

    assert ids == {str(message(topic, 0).id).encode()}
    assert await outbox.waiting(datetime.now(UTC)) == (0, timedelta())
