"""From the log to touches, on real servers, with crashes and company."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, Decision, decide, wanted
from services.ingest.domain.known import Known
from services.ingest.domain.suspicion import Watch
from services.ingest.handlers import Understanding
from services.ingest.intake.fields import Limits
from services.ingest.store.aliases import Aliases
from services.ingest.store.tables import position
from services.ingest.worker import GROUP, TOPICS
from shared.events.topics import TopicName
from shared.events.touch import Alias, touches_partition
from shared.ids import ContactId, contact_id, touch_id
from shared.log.protocol import EventLog
from shared.log.records import Record
from shared.postgres.engine import open_engine
from shared.postgres.positions import Positions
from tests.integration.ingest.identities import aliases_on, identifying_on, stored_aliases
from tests.integration.ingest.installed import CAMPAIGN_KEY, Ingest
from tests.support.reading import read_batches
from tests.support.topic_reader import read_topic

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Seen", "messageId": f"m-{number}", "properties": {"number": number}, **fields}


async def test_one_persons_way(ingest: Ingest) -> None:
    """From an anonymous page view to a known user, over two sources: one contact, and every fact is there."""
    await ingest.post("/v1/page", {"anonymousId": "a", "messageId": "1", "properties": {"url": "https://x.example/p"}})
    await ingest.understand()
    traits = {"email": "Ada@Acme.example", "title": "CTO"}
    await ingest.post("/v1/identify", {"anonymousId": "a", "userId": "u", "messageId": "2", "traits": traits})
    await ingest.understand()
    mail = {"event": "Email Link Clicked", "messageId": "3", "context": {"traits": {"email": "ada@acme.example"}}}
    await ingest.post("/v1/track", mail, headers={"Authorization": f"Bearer {CAMPAIGN_KEY}"})
    touches = {touch.id: touch for touch in await ingest.understand()}

    contact = contact_id("anonymous", "a")
    assert {touch.contact_id for touch in touches.values()} == {contact}
    viewed, identified, clicked = (
        touches[touch_id(*key)] for key in [("website", "1"), ("website", "2"), ("mailer", "3")]
    )
    assert (viewed.path, viewed.kind) == ("/p", "web")
    assert (identified.traits, identified.account_domain) == (traits, "acme.example")
    assert identified.aliases == (Alias("user", "u"), Alias("email", "ada@acme.example"), Alias("anonymous", "a"))
    assert (clicked.name, clicked.kind, clicked.source) == ("Email Link Clicked", "campaign", "mailer")


async def test_where_touches_lie(ingest: Ingest) -> None:
    """In the partition of their contact's id, as a producer that hashes the key would place them."""
    await ingest.post("/v1/batch", {"batch": [event(number, userId=f"u-{number}") for number in range(100)]})
    touches = await ingest.understand()
    records = await read_topic(ingest.log, TopicName.TOUCHES)

    assert len(touches) == 100
    assert len(records) <= 4
    for record in records:
        for number, touch in enumerate(touches):
            if f'"{touch.id}"'.encode() in record.value:
                assert record.partition.number == touches_partition(touch.contact_id, 4), number


async def test_a_sampled_trace(ingest: Ingest) -> None:
    """It goes on from the request to the touches."""
    await ingest.post(
        "/v1/track", event(1, userId="u"), headers={"Authorization": f"Bearer {CAMPAIGN_KEY}", "traceparent": TRACE}
    )
    await ingest.understand()
    (record,) = await read_topic(ingest.log, TopicName.TOUCHES)

    assert record.header("traceparent") == TRACE.encode()


@pytest.mark.parametrize("form", [to_binary_event, to_structured_event])
async def test_another_producer(ingest: Ingest, form: Any) -> None:
    """CloudEvents from the official SDK are understood, and plain JSON; what is neither is kept."""
    written = form(
        CloudEvent(
            attributes={"id": "1", "source": "/crm", "type": "signed-up", "datacontenttype": "application/json"},
            data={"userId": "u", "plan": "pro"},
        )
    )
    headers = tuple(written.headers.items())
    await ingest.log.append(
        TopicName.EVENTS_WEB,
        [
            Record(value=written.value, headers=headers),
            Record(value=b'{"type": "page", "userId": "u"}', headers=(("tandem-source", b"legacy"),)),
            Record(value=b"neither"),
            Record(value=b""),
        ],
    )
    touches = await ingest.understand()

    assert {(touch.source, touch.name) for touch in touches} == {("/crm", "signed-up"), ("legacy", "")}
    assert len({touch.contact_id for touch in touches}) == 1
    assert [(one.reason, one.original) for one in await ingest.rejected()] == [
        ("invalid_json", b"neither"),
        ("invalid_json", b""),
    ]


async def test_the_same_batch_again(ingest: Ingest) -> None:
    """A crash before the position moved repeats the same ids for the same contacts, and the same rejections."""
    batch = [
        event(1, anonymousId="a"),
        event(2, anonymousId="a", userId="u"),
        {"type": "page"},
        {"type": "page", "userId": "u"},
    ]
    await ingest.post("/v1/batch", {"batch": batch})
    first = await ingest.understand()
    async with ingest.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE ingest.position SET next_offset = 0")
    twice = await ingest.understand()
    rejected = await ingest.rejected()

    assert len(twice) == 2 * len(first) == 6
    assert {(touch.id, touch.contact_id) for touch in twice} == {(touch.id, touch.contact_id) for touch in first}
    assert len(rejected) == 2
    assert rejected[0] == rejected[1]


async def test_two_workers(two_ingests: tuple[Ingest, Ingest]) -> None:
    """Both meet the same people at once, in every partition, and agree on who they are."""
    one, two = two_ingests
    shuffled = random.Random(7)
    async with one.understanding(), two.understanding():
        for turn in range(20):
            batch = []
            for person in range(25):
                names = {"userId": f"u-{person}", "anonymousId": f"a-{person}"}
                email = {"context": {"traits": {"email": f"{person}@x.example"}}}
                batch += [
                    event(person, **names),
                    event(person, anonymousId=f"a-{person}", **email),
                    event(person, **email),
                ]
            shuffled.shuffle(batch)
            first = [{**sent, "messageId": f"one-{turn}-{place}"} for place, sent in enumerate(batch)]
            second = [{**sent, "messageId": f"two-{turn}-{place}"} for place, sent in enumerate(batch[::-1])]
            await asyncio.gather(one.post("/v1/batch", {"batch": first}), two.post("/v1/batch", {"batch": second}))
    touches = await one.touches()
    links = await stored_aliases(one.engine)

    # Who takes a partition over may repeat what the other one had published: the same touches, of the same people.
    assert len({touch.id for touch in touches}) == 20 * 2 * 75
    assert len({(touch.id, touch.contact_id) for touch in touches}) == 20 * 2 * 75
    for touch in touches:
        for named in touch.aliases:
            assert links[named.kind, named.value] == touch.contact_id
        strongest = min(touch.aliases, key=lambda named: ("user", "email", "anonymous").index(named.kind))
        assert links[strongest.kind, strongest.value] == touch.contact_id


async def test_writers_race_for_one_contact(ingest: Ingest, database_url: str) -> None:
    """Ten at once give one browser a user or an address: it takes one of each, the others are contacts themselves."""
    async with open_engine(database_url, name="racers", pool_size=10) as engine:
        identifying = identifying_on(engine, ingest.log)

        async def link(names: Names) -> ContactId:
            (person,) = await identifying.identify([names], [NOW])
            assert person
            return person.contact_id

        browser = await link(Names(anonymous="browser"))
        named = await asyncio.gather(
            *(link(Names(anonymous="browser", user=f"u-{number}")) for number in range(5)),
            *(link(Names(anonymous="browser", email=f"{number}@x.example")) for number in range(5)),
        )
        links = await stored_aliases(engine)

    users = [links["user", f"u-{number}"] for number in range(5)]
    emails = [links["email", f"{number}@x.example"] for number in range(5)]
    assert len(set(users)) == 5
    assert len(set(emails)) == 5
    assert sum(contact == browser for contact in users) <= 1
    assert sum(contact == browser for contact in emails) <= 1
    assert named == [*users, *emails]


async def test_a_decision_on_old_knowledge(ingest: Ingest) -> None:
    """It is not written down, nor is any part of it."""
    aliases = aliases_on(ingest.engine, ingest.log)
    browser = Names(anonymous="browser")
    first, second = Names(anonymous="browser", email="1@x.example"), Names(anonymous="browser", email="2@x.example")
    await save(aliases, decide([browser], Known(), caps=Caps()))
    old = await aliases.load(wanted([first]))
    assert await save(aliases, decide([first], await aliases.load(wanted([first])), caps=Caps()))

    assert not await save(aliases, decide([second, Names(user="new")], old, caps=Caps()))
    assert set(await stored_aliases(ingest.engine)) == {("anonymous", "browser"), ("email", "1@x.example")}


async def save(aliases: Aliases, decision: Decision) -> bool:
    return bool(await aliases.save(decision, received_at=[NOW] * len(decision.people), now=NOW))


async def test_a_record_that_breaks_the_worker(ingest: Ingest) -> None:
    """It is set aside whole, and its partition moves on."""
    await ingest.log.append(TopicName.EVENTS_WEB, [Record(value=b'{"type": "page", "userId": "u"}', partition=0)])
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_WEB)
    positions = Positions(ingest.engine, position, owner="test")
    understanding = Understanding(
        log=ingest.log,
        identifying=identifying_on(ingest.engine, ingest.log),
        positions=positions,
        metrics=ingest.metrics,
        limits=Limits(max_event_bytes=1000, allowed_skew=timedelta()),
        watch=Watch(),
        slice_events=100,
    )
    async with ingest.log.consume(GROUP, TOPICS, positions.claim) as consumer:
        (batch,) = await read_batches(consumer, 1)
        await understanding.set_aside(batch, ValueError("broken"))
    (kept,) = await ingest.rejected()

    assert (kept.reason, kept.message, kept.original) == ("unprocessable", "ValueError: broken", record.value)
    assert await ingest.caught_up()


async def test_an_empty_log(log: EventLog, ingest: Ingest) -> None:
    """There is nothing to understand, and no touch."""
    assert await ingest.understand() == []
    assert await read_topic(log, TopicName.EVENTS_REJECTED) == []
