"""Contacts that turn out to be one person, on real servers: merged once, told once, undone for good."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Caps, Refusal, decide, wanted
from services.ingest.store.tables import pending_merge
from shared.events.contact import ContactsMerged, ContactsUnmerged
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import contact_id
from shared.log.protocol import EventLog
from shared.postgres.engine import open_engine, passes
from tests.integration.ingest.identities import aliases_on, identifying_on, merges_on, stored_aliases, told
from tests.integration.ingest.installed import MARKETING_KEY, SALES_KEY, Ingest
from tests.support.cutting import cut_at_commit
from tests.support.topic_reader import read_topic
from tests.support.waiting import until
from tests.unit.ingest.contacts_model import connected

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BROWSER, USER = contact_id("anonymous", "a"), contact_id("user", "u")
MIA = {"Authorization": f"Bearer {MARKETING_KEY}"}


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Seen", "messageId": f"m-{number}", "properties": {"number": number}, **fields}


async def post(ingest: Ingest, *events: dict[str, Any]) -> None:
    await ingest.post("/v1/batch", {"batch": events})
    await ingest.understand()


async def merge_browser_and_user(ingest: Ingest) -> ContactsMerged:
    """Have a browser and a user known, then seen together; return what is told."""
    await post(ingest, event(1, anonymousId="a"))
    await post(ingest, event(2, userId="u"))
    await post(ingest, event(3, anonymousId="a", userId="u"))
    (merged,) = await told(ingest.engine, ingest.log)
    assert isinstance(merged, ContactsMerged)
    return merged


async def test_two_contacts_that_are_one(ingest: Ingest) -> None:
    """The older survives with all aliases; it is told under the other's key, kept with its evidence, and counted."""
    merged = await merge_browser_and_user(ingest)
    await post(ingest, event(4, userId="u"))
    touches = {touch.properties["number"]: touch for touch in await ingest.touches()}
    listed = (await ingest.client.get(f"/v1/merges?contact={USER}", headers=MIA)).json()
    (record,) = await read_topic(ingest.log, TopicName.CONTACTS)

    assert (merged.survivor, merged.other) == (BROWSER, USER)
    assert merged.aliases == (Alias("user", "u"),)
    assert merged.at == touches[3].received_at
    assert record.key == str(USER).encode()
    assert [touches[number].contact_id for number in (1, 2, 3, 4)] == [BROWSER, USER, BROWSER, BROWSER]
    assert touches[3].aliases == (Alias("user", "u"), Alias("anonymous", "a"))
    assert set((await stored_aliases(ingest.engine)).values()) == {BROWSER}
    (shown,) = listed["merges"]
    assert shown["evidence"] == {"user": "u", "anonymous": "a"}
    assert (shown["survivor"], shown["undone_at"]) == (str(BROWSER), None)
    assert "tandem_merges_total 1.0" in (await ingest.client.get("/metrics")).text


async def test_the_same_batch_after_a_merge(ingest: Ingest) -> None:
    """Done again, it names the survivor throughout, and tells of nothing new."""
    await merge_browser_and_user(ingest)
    async with ingest.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE ingest.position SET next_offset = 0")
    touches = await ingest.understand()

    assert Counter(touch.contact_id for touch in touches) == {USER: 1, BROWSER: 5}
    assert len(await told(ingest.engine, ingest.log)) == 1


async def test_a_crash_between_the_merge_and_its_message(ingest: Ingest) -> None:
    """The next process finds the message in the outbox, and relays it."""
    identifying = identifying_on(ingest.engine, ingest.log)
    for names in (Names(anonymous="a"), Names(user="u"), Names(anonymous="a", user="u")):
        await identifying.identify([names], [NOW])

    assert await read_topic(ingest.log, TopicName.CONTACTS) == []
    stopping = asyncio.Event()
    relaying = asyncio.create_task(ingest.service.workers["outbox"](stopping))

    async def arrived() -> bool:
        return len(await read_topic(ingest.log, TopicName.CONTACTS)) == 1

    await until(arrived, what="the message in the log")
    stopping.set()
    await relaying
    await post(ingest, event(1, anonymousId="a", userId="u"))
    assert len(await told(ingest.engine, ingest.log)) == 1


async def test_a_connection_that_breaks_at_the_commit(ingest: Ingest, database_url: str) -> None:
    """Whether it was committed nobody knows; deciding again finds out, and it happened once."""
    identifying = identifying_on(ingest.engine, ingest.log)
    for names in (Names(anonymous="a"), Names(user="u")):
        await identifying.identify([names], [NOW])
    both = Names(anonymous="a", user="u")
    aliases = aliases_on(ingest.engine, ingest.log)
    known = await aliases.load(wanted([both]), histories_of=[BROWSER, USER])
    async with cut_at_commit(database_url) as url, open_engine(url, name="cut") as engine:
        with pytest.raises(Exception) as broken:  # noqa: PT011  # which of the drivers' errors it is depends on the moment
            await aliases_on(engine, ingest.log).save(decide([both], known, caps=Caps()), received_at=[NOW], now=NOW)
    (person,) = await identifying.identify([both], [NOW])

    assert passes(broken.value)
    assert person
    assert person.contact_id == BROWSER
    assert len(await told(ingest.engine, ingest.log)) == 1


def meetings(dice: random.Random, people: int) -> list[Names]:
    """Return events of people who have a user id, two addresses and three browsers, in any order."""
    events = []
    for person in range(people):
        user, emails = f"u-{person}", [f"{person}.{number}@x.example" for number in range(2)]
        browsers = [f"a-{person}.{number}" for number in range(3)]
        events += [Names(user=user, email=email) for email in emails]
        events += [Names(email=dice.choice(emails), anonymous=browser) for browser in browsers]
        events += [Names(anonymous=dice.choice(browsers)) for _ in range(3)]
        events += [Names(email=email) for email in emails] + [Names(user=user)]
        events += [Names(user=user, previous=dice.choice(browsers)), Names(user=user, anonymous=dice.choice(browsers))]
    dice.shuffle(events)
    return events


@pytest.mark.parametrize("seed", range(4))
async def test_workers_race(log: EventLog, database_url: str, seed: int) -> None:
    """Six workers meet the same people in other orders: nobody waits for ever, and the contacts are who they are.

    What is told tells the whole story: whoever a touch was published under lives on in the contact of its names.
    """
    dice = random.Random(seed)
    events = meetings(dice, people=8)
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(open_engine(database_url, name=f"w-{number}")) for number in range(6)
        ]
        published: list[tuple[Names, UUID]] = []

        async def work(number: int) -> None:
            mine = random.Random(seed * 100 + number)
            order = mine.sample(events, len(events))
            identifying = identifying_on(engines[number], log)
            while order:
                batch = [order.pop() for _ in range(min(len(order), mine.randint(1, 6)))]
                people = await identifying.identify(batch, [NOW] * len(batch))
                published.extend(
                    (names, person.contact_id) for names, person in zip(batch, people, strict=True) if person
                )

        await asyncio.gather(*map(work, range(6)))
        links = await stored_aliases(engines[0])
        messages = await told(engines[0], log)

    groups: dict[UUID, set[Alias]] = {}
    for (kind, value), contact in links.items():
        groups.setdefault(contact, set()).add(Alias(kind, value))  # type: ignore[arg-type]  # from the table's text
    assert set(map(frozenset, groups.values())) == connected(events)
    living = lives_on(messages)
    assert messages
    for names, contact in published:
        assert {living(contact)} == {links[alias.kind, alias.value] for alias in names.aliases}


def lives_on(messages: Sequence[Any]) -> Any:
    """Return in whom a contact lives on, as the messages tell it."""
    merged: dict[UUID, UUID] = {}
    for message in messages:
        assert isinstance(message, ContactsMerged)
        assert message.other not in merged
        merged[message.other] = message.survivor

    def living(contact: UUID) -> UUID:
        while contact in merged:
            contact = merged[contact]
        return contact

    return living


async def test_a_decision_on_a_contact_that_was_merged_away(ingest: Ingest) -> None:
    """Nothing is linked to it: the writer decides again."""
    identifying, aliases = identifying_on(ingest.engine, ingest.log), aliases_on(ingest.engine, ingest.log)
    for names in (Names(anonymous="a"), Names(anonymous="b")):
        await identifying.identify([names], [NOW])
    late = Names(anonymous="b", email="e@x.example")
    old = await aliases.load(wanted([late]))
    await identifying.identify([Names(user="u", anonymous="a", previous="b")], [NOW])
    decision = decide([late], old, caps=Caps())

    assert not await aliases.save(decision, received_at=[NOW], now=NOW)
    (person,) = await identifying.identify([late], [NOW])
    assert person
    assert set((await stored_aliases(ingest.engine)).values()) == {person.contact_id}


async def test_undoing(ingest: Ingest) -> None:
    """The other has its aliases back, the log is told so after the merge, and the two are never one again."""
    merged = await merge_browser_and_user(ingest)
    answer = await ingest.client.post(f"/v1/merges/{merged.id}/undo", headers=MIA)
    again = await ingest.client.post(f"/v1/merges/{merged.id}/undo", headers=MIA)
    await post(ingest, event(4, anonymousId="a", userId="u"), event(5, userId="u"), event(6, anonymousId="a"))
    messages = await told(ingest.engine, ingest.log)
    records = await read_topic(ingest.log, TopicName.CONTACTS)
    touches = {touch.properties["number"]: touch.contact_id for touch in await ingest.touches()}
    text = (await ingest.client.get("/metrics")).text

    assert (answer.status_code, answer.json()["undone_by"]) == (200, "Mia")
    assert (again.status_code, again.json()) == (200, answer.json())
    assert [type(message) for message in messages] == [ContactsMerged, ContactsUnmerged]
    undone = messages[1]
    assert isinstance(undone, ContactsUnmerged)
    assert (undone.id, undone.survivor, undone.other) == (merged.id, BROWSER, USER)
    assert undone.aliases == (Alias("user", "u"),)
    assert {record.key for record in records} == {str(USER).encode()}
    assert len({record.header("tandem-id") for record in records}) == 2
    assert [touches[number] for number in (4, 5, 6)] == [USER, USER, BROWSER]
    assert "tandem_merges_undone_total 1.0" in text
    assert 'tandem_merges_refused_total{reason="undone"} 1.0' in text


async def test_who_may_undo(ingest: Ingest) -> None:
    """Marketing and admins; everybody but sources may look."""
    sam = {"Authorization": f"Bearer {SALES_KEY}"}
    unknown = uuid4()

    assert (await ingest.client.post(f"/v1/merges/{unknown}/undo", headers=sam)).status_code == 403
    assert (await ingest.client.post(f"/v1/merges/{unknown}/undo")).status_code == 401
    assert (await ingest.client.get("/v1/merges")).status_code == 401
    assert (await ingest.client.get("/v1/merges", headers=sam)).json() == {"merges": [], "next": None}
    missing = await ingest.client.post(f"/v1/merges/{unknown}/undo", headers=MIA)
    assert (missing.status_code, missing.json()["code"]) == (404, "merge_not_found")
    assert (await ingest.client.get("/v1/merges?cursor=x", headers=MIA)).json()["code"] == "invalid_cursor"


async def test_a_chain(ingest: Ingest) -> None:
    """A merge whose survivor lives on in another is undone after that one; both have all that was theirs then."""
    identifying, merges = identifying_on(ingest.engine, ingest.log), merges_on(ingest.engine, ingest.log)
    for names in (Names(email="r@x.example"), Names(anonymous="s"), Names(user="x")):
        await identifying.identify([names], [NOW])
    for names in (Names(user="x", anonymous="s"), Names(anonymous="s", email="r@x.example")):
        await identifying.identify([names], [NOW])
    root, middle, leaf = contact_id("email", "r@x.example"), contact_id("anonymous", "s"), contact_id("user", "x")
    pages = [await merges.page(contact=contact, before=None, limit=10) for contact in (root, middle, leaf)]
    outer, inner = pages[0]
    refused = await ingest.client.post(f"/v1/merges/{inner.id}/undo", headers=MIA)
    first = await ingest.client.post(f"/v1/merges/{outer.id}/undo", headers=MIA)
    links = await stored_aliases(ingest.engine)
    second = await ingest.client.post(f"/v1/merges/{inner.id}/undo", headers=MIA)

    assert [(one.survivor, one.other) for one in pages[0]] == [(root, middle), (middle, leaf)]
    assert pages[1] == pages[0]
    assert pages[2] == [inner]
    assert (refused.status_code, refused.json()["first"]) == (409, str(outer.id))
    assert str(outer.id) in refused.json()["message"]
    assert (first.status_code, second.status_code) == (200, 200)
    assert links == {("email", "r@x.example"): root, ("anonymous", "s"): middle, ("user", "x"): middle}
    assert (await stored_aliases(ingest.engine))["user", "x"] == leaf
    messages = await told(ingest.engine, ingest.log)
    assert Counter(map(type, messages)) == {ContactsMerged: 2, ContactsUnmerged: 2}
    for names in (Names(user="x", anonymous="s"), Names(email="r@x.example", anonymous="s")):
        await identifying.identify([names], [NOW])
    assert len(set((await stored_aliases(ingest.engine)).values())) == 3


async def test_merges_by_page(ingest: Ingest) -> None:
    """Newest first, each once."""
    identifying = identifying_on(ingest.engine, ingest.log)
    for number in range(5):
        for names in (Names(user=f"u{number}"), Names(anonymous=f"a{number}")):
            await identifying.identify([names], [NOW])
        await identifying.identify([Names(user=f"u{number}", anonymous=f"a{number}")], [NOW])
    listed: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = (await ingest.client.get(f"/v1/merges?limit=2{cursor and f'&cursor={cursor}'}", headers=MIA)).json()
        listed += page["merges"]
        cursor = page["next"]

    assert [one["evidence"]["user"] for one in listed] == [f"u{number}" for number in (4, 3, 2, 1, 0)]


async def test_undoing_while_events_come_in(log: EventLog, database_url: str) -> None:
    """Whatever races, the two end apart, each with the names that were its own."""
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(open_engine(database_url, name=f"w-{number}")) for number in range(4)
        ]
        workers = [identifying_on(engine, log) for engine in engines]
        for names in (Names(anonymous="a"), Names(user="u"), Names(anonymous="a", user="u")):
            await workers[0].identify([names], [NOW])
        merges = merges_on(engines[0], log)
        (found,) = await merges.page(contact=None, before=None, limit=10)

        async def work(number: int) -> None:
            for turn in range(10):
                new = Names(anonymous="a" if turn % 2 else f"{number}.{turn}", user="u")
                await workers[number].identify([new, Names(anonymous="a")], [NOW, NOW])

        async def undo() -> None:
            await merges.undo(found.id, by="Mia", now=NOW)

        await asyncio.gather(*map(work, range(4)), undo())
        links = await stored_aliases(engines[0])
        messages = await told(engines[0], log)

    assert (links["anonymous", "a"], links["user", "u"]) == (BROWSER, USER)
    assert set(links.values()) == {BROWSER, USER}
    assert [type(message) for message in messages] == [ContactsMerged, ContactsUnmerged]


async def test_pairs_of_an_earlier_release(ingest: Ingest) -> None:
    """The worker merges those that are one person, by the names that showed it, and keeps none of them."""
    identifying = identifying_on(ingest.engine, ingest.log)
    for names in (Names(anonymous="a"), Names(user="u"), Names(user="other")):
        await identifying.identify([names], [NOW])
    pairs = [({"user": "u", "anonymous": "a"}, USER, BROWSER), ({"user": "u", "previous": "other"}, USER, uuid4())]
    async with ingest.engine.begin() as connection:
        for evidence, survivor, other in pairs:
            row = {"survivor": survivor, "other": other, "evidence": evidence, "first_seen": NOW}
            await connection.execute(insert(pending_merge).values(row))
    stopping = asyncio.Event()
    settling = asyncio.create_task(ingest.service.workers["settling"](stopping))

    async def settled() -> bool:
        async with ingest.engine.connect() as connection:
            return not (await connection.execute(select(pending_merge))).all()

    await until(settled, what="the pairs settled")
    stopping.set()
    await settling
    (merged,) = await told(ingest.engine, ingest.log)

    assert isinstance(merged, ContactsMerged)
    assert ({merged.survivor, merged.other}, merged.at) == ({BROWSER, USER}, NOW)
    assert ingest.metrics.merges_refused.labels(Refusal.TWO_USERS)._value.get() == 1


async def test_what_batches_without_merges_cost(ingest: Ingest) -> None:
    """Nothing is asked about merges, and nothing of theirs is written."""
    identifying = identifying_on(ingest.engine, ingest.log)
    await identifying.identify([Names(user="u", anonymous="a"), Names(user="v", anonymous="b")], [NOW, NOW])
    async with ingest.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE ingest.merge, ingest.outbox")
    people = await identifying.identify(
        [Names(user="u", anonymous="c"), Names(anonymous="a", user="v"), Names(email="e@x.example", user="v")],
        [NOW] * 3,
    )

    assert len({person.contact_id for person in people if person}) == 2
