"""Scorers share the partitions: while some are added, killed and stopped under load, no score and no lead changes."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.client import TandemClient
from services.ingest.packing import pack_touches
from services.scorer.store.tables import position
from shared.events.handoff import HandoffReady, decode_handoff
from shared.events.topics import TopicName
from shared.events.touch import Touch
from shared.ids import touch_id
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.postgres.engine import open_engine
from tests.e2e.conftest import Install, sign_agreement
from tests.integration.scorer.test_exactly_once import PEOPLE, lives
from tests.support.processes import TandemProcess, create_topics
from tests.support.reference_model import expected
from tests.support.topic_reader import read_topic
from tests.support.touches import NOON, TEXT, agreement
from tests.support.waiting import until

PARTITIONS = 6
EACH = 100  # touches of one of the people in one of two seasons, besides those that tell who it is


@pytest.mark.timeout(300)
async def test_two_share_while_others_come_and_go(install_on_each_log: Install) -> None:
    """Scores and handoffs are exactly those of plain code, whoever counted what."""
    install = install_on_each_log
    await create_topics(install.settings, install.directory)
    scorers = [
        TandemProcess("scorer", settings=install.settings, log=install.directory / f"scorer-{number}.log")
        for number in range(3)
    ]
    first, second, third = scorers
    touches = two_seasons()
    try:
        first.start()
        await first.ready()
        await sign_agreement(first.url, install.keys, TEXT)
        database_url = install.settings["TANDEM_DATABASE_URL"]
        async with (
            open_engine(database_url, name="test") as engine,
            open_log(
                kafka_bootstrap=install.settings.get("TANDEM_KAFKA_BOOTSTRAP"),
                database_url=database_url,
                name="test",
                append_timeout=timedelta(seconds=5),
            ) as log,
        ):
            changed = asyncio.Event()
            sending = asyncio.create_task(send(log, touches, changed))
            second.start()
            await shared_by(engine, first, second)
            first.kill()
            third.start()
            await shared_by(engine, second, third)
            second.kill()
            first.start()
            await shared_by(engine, third, first)
            assert await third.stop() == 0
            second.start()
            await shared_by(engine, first, second)
            changed.set()
            await sending
            as_of = datetime.now(UTC) + timedelta(minutes=5)
            contacts = await all_counted(first, install, as_of=as_of)
            told = [decode_handoff(record.value) for record in await read_topic(log, TopicName.HANDOFFS)]
    finally:
        await asyncio.gather(*(scorer.stop() for scorer in scorers))

    by_contact: dict[str, list[Touch]] = {}
    for touch in touches:
        by_contact.setdefault(str(touch.contact_id), []).append(touch)
    scores, leads = expected(by_contact, agreement(), as_of=as_of)
    assert {each["id"]: each["engagement"]["score"] for each in contacts} == pytest.approx(scores, rel=1e-9, abs=1e-9)
    assert {each["touches"] for each in contacts} == {2 * EACH}
    handoffs = {message.id: message for message in told if isinstance(message, HandoffReady)}
    assert sorted((str(each.contact.id), str(each.touch_id)) for each in handoffs.values()) == sorted(leads)
    assert len(leads) > len(PEOPLE)  # somebody was handed off in both seasons


def two_seasons() -> list[Touch]:
    """Return what people do in two months, the second of which ends yesterday: all fall below the level in between."""
    ended = (datetime.now(UTC) - NOON).days - 1
    return [
        msgspec.structs.replace(
            touch,
            id=touch_id("website", f"{days} {touch.id}"),
            occurred_at=touch.occurred_at + timedelta(days=days),
            received_at=touch.received_at + timedelta(days=days),
        )
        for seed, days in enumerate((ended - 200, ended))
        for touch in lives(random.Random(seed), each=EACH)
    ]


async def shared_by(engine: AsyncEngine, *scorers: TandemProcess) -> None:
    """Wait until each of the scorers has some of the partitions of touches, and nobody else has any."""
    owners: set[str] = set()

    async def is_so() -> bool:
        nonlocal owners
        async with engine.connect() as connection:
            found = await connection.scalars(select(position.c.owner).where(position.c.topic == TopicName.TOUCHES))
            owners = {owner.rpartition(":")[2] for owner in found}
        return owners == {str(scorer.pid) for scorer in scorers}

    def what() -> str:
        logs = "\n".join(scorer.log_text() for scorer in scorers)
        return f"shared by {[scorer.pid for scorer in scorers]}, not {owners}\n{logs}"

    await until(is_so, seconds=60, what=what)


async def send(log: EventLog, touches: list[Touch], changed: asyncio.Event) -> None:
    """Append the touches a few at a time, with some of those before once more; the last third when all has changed."""
    dice = random.Random(8)
    held_back = len(touches) * 2 // 3
    sent = 0
    while sent < len(touches):
        end = len(touches) if changed.is_set() else held_back
        piece = touches[sent : min(end, sent + 3)]
        again = dice.sample(touches[:sent], min(sent, 3))
        await log.append(
            TopicName.TOUCHES, pack_touches(((touch, None) for touch in [*again, *piece]), partitions=PARTITIONS)
        )
        sent += len(piece)
        if not changed.is_set():
            await asyncio.sleep(0.02)  # spread over the time of the changes; there are repeats as long as they take


async def all_counted(scorer: TandemProcess, install: Install, *, as_of: datetime) -> list[dict[str, Any]]:
    """Wait until every touch counts and every decision is in the log; return the contacts as of the instant."""
    async with TandemClient(scorer.url, install.keys["marketing"]) as api:

        async def shown() -> list[dict[str, Any]]:
            return list((await api.get("/v1/contacts", limit=200, as_of=as_of.isoformat()))["contacts"])

        async def counted() -> bool:
            return sum(int(contact["touches"]) for contact in await shown()) == 2 * len(PEOPLE) * EACH

        async def told() -> bool:
            lines = (await api.text("/metrics")).splitlines()
            return 'tandem_outbox_waiting_messages{service="scorer"} 0.0' in lines

        await until(counted, seconds=60, what=lambda: f"all counted\n{scorer.log_text()}")
        await until(told, seconds=20, what="the outbox relayed")
        return await shown()
