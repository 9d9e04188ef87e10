"""Promises 2 and 4 under SIGKILL: every event counts exactly once, one crossing gives one handoff."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.client import TandemClient
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.events.handoff import HandoffReady, decode_handoff
from shared.events.touch import Touch, decode_touches
from shared.log.opening import open_log
from tests.e2e.conftest import Install, sign_agreement
from tests.support.processes import ROOT, TandemProcess, create_topics
from tests.support.reference_model import expected
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

KILLS = 20
CONTACTS = 60
EVENTS = 12_000
BATCH = 40


def events(dice: random.Random) -> list[dict[str, Any]]:
    """Return what sixty people do, first of all who they are, every twentieth event twice."""
    now = datetime.now(UTC)
    told: list[dict[str, Any]] = []
    for number in range(CONTACTS):
        traits = {"email": f"p{number}@firm.example", "title": "Director of Supply"}
        told.append({"type": "identify", "userId": f"p{number}", "traits": traits})
        firm = {"name": "Firm", "industry": "logistics" if number % 2 else "retail"}
        told.append({"type": "group", "userId": f"p{number}", "groupId": "firm.example", "traits": firm})
    paths = ["/", "/pricing", "/blog/a", "/customers/b", "/guide"]
    for _ in range(EVENTS):
        path = dice.choice(paths)
        event: dict[str, Any] = {"type": "page", "name": path, "properties": {"path": path}}
        if dice.random() < 0.2:
            event = {"type": "track", "event": "Email Link Clicked", "properties": {}}
        if dice.random() < 0.002:
            event = {"type": "track", "event": "Form Submitted", "properties": {"form": "demo"}}
        when = now - timedelta(seconds=dice.randrange(86400 * 40))
        told.append({**event, "userId": f"p{dice.randrange(CONTACTS)}", "timestamp": when.isoformat()})
    named = [{**event, "messageId": f"m-{number}"} for number, event in enumerate(told)]
    repeats = [event for event in named[2 * CONTACTS :] if dice.random() < 0.05]
    later = named[2 * CONTACTS :] + repeats
    dice.shuffle(later)
    return named[: 2 * CONTACTS] + later


@pytest.mark.timeout(900)
async def test_the_scorer_is_killed_twenty_times_under_load(install: Install, own_kafka: str) -> None:
    """Scores and handoffs are exactly those that a recomputation from the raw events gives."""
    install = install.on_kafka(own_kafka)
    await create_topics(install.settings, install.directory)
    ingest = TandemProcess("ingest", settings=install.settings, log=install.directory / "ingest.log")
    scorer = TandemProcess("scorer", settings=install.settings, log=install.directory / "scorer.log")
    ingest.start()
    scorer.start()
    dice = random.Random(11)
    try:
        await ingest.ready()
        await scorer.ready()
        await sign_agreement(scorer.url, install.keys)
        all_killed = asyncio.Event()
        sending = asyncio.create_task(send(ingest, install, events(dice), all_killed))
        for kill in range(KILLS):
            if kill % 4 == 0:
                await scorer.ready()  # let it get to work now and then; else it dies while it starts
            await asyncio.sleep(dice.uniform(0.2, 1.5))
            scorer.kill()
            scorer.start()
        all_killed.set()
        await sending
        await scorer.ready()
        raw = await everything(install, own_kafka, ingest, scorer)
    finally:
        await asyncio.gather(ingest.stop(), scorer.stop())
    touches, contacts, handoffs, as_of = raw

    agreement = parse_agreement((ROOT / "examples/agreement.yaml").read_text())
    assert isinstance(agreement, Agreement)
    scores, leads = expected(touches, agreement, as_of=as_of)
    assert len(contacts) == CONTACTS
    for contact in contacts:
        assert contact["engagement"]["score"] == pytest.approx(scores[contact["id"]], rel=1e-9)
    assert sum(contact["touches"] for contact in contacts) == EVENTS
    assert len(leads) > 5
    assert Counter((str(handoff.contact.id), str(handoff.touch_id)) for handoff in handoffs.values()) == Counter(leads)


async def send(ingest: TandemProcess, install: Install, told: list[dict[str, Any]], all_killed: asyncio.Event) -> None:
    """Post the events, spread over the time of the killing."""
    async with TandemClient(ingest.url) as client:
        for first in range(0, len(told), BATCH):
            body = msgspec.json.encode({"batch": told[first : first + BATCH]})
            await client.post_events("/v1/batch", body, key=install.keys["source"])
            if not all_killed.is_set():
                await asyncio.sleep(0.05)


async def everything(
    install: Install, bootstrap: str, ingest: TandemProcess, scorer: TandemProcess
) -> tuple[dict[str, list[Touch]], list[dict[str, Any]], dict[str, HandoffReady], datetime]:
    """Wait until all is counted; return touches in order by contact, contacts, handoffs by id, and the instant."""
    as_of = datetime.now(UTC) + timedelta(minutes=5)
    async with TandemClient(scorer.url, install.keys["marketing"]) as api:

        async def contacts() -> list[dict[str, Any]]:
            page = await api.get("/v1/contacts", limit=200, as_of=as_of.isoformat())
            return list(page["contacts"])

        async def counted() -> bool:
            return sum(int(contact["touches"]) for contact in await contacts()) >= EVENTS

        await until(counted, seconds=90, what=lambda: f"all counted\n{ingest.log_text()}\n{scorer.log_text()}")
        await until(lambda: outbox_empty(api), seconds=20, what="the outbox relayed")
        found = await contacts()
    async with open_log(
        kafka_bootstrap=bootstrap,
        database_url=install.settings["TANDEM_DATABASE_URL"],
        name="test",
        append_timeout=timedelta(seconds=5),
    ) as log:
        touches: dict[str, list[Touch]] = {}
        for record in await read_topic(log, "touches"):
            for touch in decode_touches(record.value):
                touches.setdefault(str(touch.contact_id), []).append(touch)
        messages = [decode_handoff(record.value) for record in await read_topic(log, "handoffs")]
    handoffs = {str(message.id): message for message in messages if isinstance(message, HandoffReady)}
    return touches, found, handoffs, as_of


async def outbox_empty(api: TandemClient) -> bool:
    """Tell whether the scorer's messages are all in the log."""
    lines = (await api.text("/metrics")).splitlines()
    return 'tandem_outbox_waiting_messages{service="scorer"} 0.0' in lines
