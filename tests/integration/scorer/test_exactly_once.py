"""Every touch counts once: repeated batches, crashes, owners that were cut off, bad records."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.errors import ContactsRaced
from services.scorer.store import tables
from shared.events.touch import Alias, Touch, encode_touches
from shared.ids import contact_id
from shared.log.errors import PositionLost
from shared.log.records import Partition
from shared.postgres.outbox import TRACE_HEADER
from tests.integration.scorer.conftest import Rig, comparable, open_rig
from tests.support.reference_model import expected
from tests.support.touches import ADA, NOON, TEXT, a_demo_request, a_profile, a_touch, a_track, agreement

PEOPLE = [contact_id("user", f"p{number}") for number in range(12)]


def lives(dice: random.Random, *, each: int = 40) -> list[Touch]:
    """Return what twelve people do in a month, in the order of receipt."""
    touches: list[Touch] = []
    for contact in PEOPLE:
        touches.append(a_profile(f"who{contact}", contact=contact, at=NOON - timedelta(days=31)))
        for number in range(each):
            at = NOON - timedelta(minutes=dice.randrange(30 * 1440))
            name = f"{contact}/{number}"
            match dice.choice(["/pricing", "/pricing", "/compare/x", "/blog/x", "/", "click", "demo"]):
                case "click":
                    touches.append(a_track(name, "Email Link Clicked", at=at, contact=contact))
                case "demo" if dice.random() < 0.1:
                    touches.append(a_demo_request(name, at=at, contact=contact))
                case path:
                    touches.append(a_touch(name, path=path, at=at, contact=contact))
    return sorted(touches, key=lambda touch: touch.received_at)


async def assert_as_expected(rig: Rig, touches: list[Touch]) -> None:
    """Hold scores and handoffs against plain code."""
    by_contact: dict[str, list[Touch]] = {}
    for touch in touches:
        by_contact.setdefault(str(touch.contact_id), []).append(touch)
    scores, handoffs = expected(by_contact, agreement(), as_of=NOON)
    page = await rig.get("/v1/contacts", limit=200)
    assert {contact["id"]: contact["engagement"]["score"] for contact in page["contacts"]} == pytest.approx(
        scores, rel=1e-9, abs=1e-9
    )
    made = [(str(handoff.contact.id), str(handoff.touch_id)) for handoff in await rig.handoffs()]
    assert sorted(made) == sorted(handoffs)
    assert len(made) > 3


async def test_any_split_into_batches(rig: Rig) -> None:
    """However the records fall into batches, with repeats in between, scores and handoffs are those of plain code."""
    await rig.activate()
    dice = random.Random(5)
    touches = lives(dice)
    given = 0
    while given < len(touches):
        size = dice.choice([1, 2, 7, 50])
        repeats = dice.sample(touches[:given], min(given, 3))
        await rig.give(*repeats, *touches[given : given + size])
        given += size

    await assert_as_expected(rig, touches)


async def test_a_large_batch_that_holds_repeats(rig: Rig) -> None:
    """It is begun again, once, and counts what is new: nothing is counted twice, and nothing rejected."""
    await rig.activate()
    touches = lives(random.Random(6), each=100)
    await rig.give(*touches[:600])

    await rig.give(*touches)  # half of them again
    await rig.give(*touches)

    await assert_as_expected(rig, touches)
    assert rig.metrics.touches_repeated._value.get() == 600 + len(touches)
    assert rig.metrics.touches_counted._value.get() == len(touches)


async def test_a_crash_inside_the_transaction(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was written before is void; the next try does all of it, once."""
    await rig.activate()
    touches = lives(random.Random(6), each=20)
    save = rig.contacts.save

    class Crash(Exception):
        """Stands for the end of the process."""

    async def crash(connection: AsyncConnection, *arguments: Any, **named: Any) -> None:
        await save(connection, *arguments, **named)
        raise Crash

    for first in range(0, len(touches), 60):
        batch = await rig.batch(encode_touches(touches[first : first + 60]))
        rig.contacts.save = crash  # type: ignore[method-assign]  # the process ends before the commit
        with pytest.raises(Crash):
            await rig.scorer.handle([batch])
        rig.contacts.save = save  # type: ignore[method-assign]  # the next process
        await rig.scorer.handle([batch])
        rig.passed(batch)

    await assert_as_expected(rig, touches)
    assert await rig.count(tables.touch) == len(touches)


async def test_an_owner_that_was_cut_off(rig: Rig) -> None:
    """Its batch is refused as a whole; the new owner does it."""
    await rig.activate()
    batch = await rig.batch(encode_touches([a_demo_request(1)]))
    await rig.positions.claim("scorer", Partition("touches", 0), 0, 100)

    with pytest.raises(PositionLost):
        await rig.scorer.handle([batch])

    assert await rig.count(tables.touch) == 0
    assert await rig.messages() == []


async def test_a_position_that_was_lost_after_the_commit(rig: Rig) -> None:
    """The same records again, under a new claim from an older offset, change nothing."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    before = await rig.state(ADA)

    await rig.give(a_demo_request(1), a_profile("who"))

    assert comparable(await rig.state(ADA)) == comparable(before)
    assert len(await rig.handoffs()) == 1


async def test_one_contact_in_two_partitions_at_once(rig: Rig, database_url: str) -> None:
    """Two processes that both meet a new contact, as after adding partitions, lose nothing of it."""
    await rig.activate()
    async with open_rig(database_url) as other:
        for number in range(8):
            contact = contact_id("user", f"race{number}")
            await asyncio.gather(
                *(
                    scorer.give(*(a_touch(f"{number}/{side}/{n}", contact=contact) for n in range(5)), number=side)
                    for side, scorer in enumerate((rig, other))
                )
            )
            assert (await rig.state(contact)).touches == 10


async def test_a_race_is_lost_again_and_again(rig: Rig) -> None:
    """It is not tried for ever, and nothing was written."""

    async def raced(*_: Any, **__: Any) -> None:
        raise ContactsRaced

    rig.contacts.save = raced  # type: ignore[method-assign]  # another process is always first
    with pytest.raises(ContactsRaced):
        await rig.give(a_touch(1))

    assert await rig.count(tables.touch) == 0


async def test_records_that_cannot_be_read(rig: Rig) -> None:
    """They are kept with the reason, their neighbours count, and the partition goes on."""
    await rig.activate()
    items = msgspec.json.decode(encode_touches([a_touch(1), a_touch(2)]))
    items[0]["type"] = "dance"

    await rig.give_records(
        b"\xff\x00", msgspec.json.encode(items), encode_touches([a_touch(3)]), headers=(("a", b"b"),)
    )
    await rig.give_records(b"{}", topic="feedback")

    assert (await rig.state(ADA)).touches == 2
    first, second, third = await rig.rejected()
    assert (first.reason, first.offset, first.original, first.headers) == (
        "malformed_touches",
        0,
        b"\xff\x00",
        {"a": "b"},
    )
    assert (second.reason, second.item, second.offset) == ("malformed_touch", 0, 1)
    assert (third.reason, third.topic) == ("malformed_feedback", "feedback")


@pytest.mark.parametrize("count", [1, 600])
async def test_touches_of_a_newer_release(rig: Rig, count: int) -> None:
    """What this one does not know of them is kept, in small batches and large ones: the next reads it."""
    items = msgspec.json.decode(encode_touches([a_touch(number) for number in range(count)]))
    for number, item in enumerate(items):
        item["mood"] = f"curious {number}"

    await rig.give_records(msgspec.json.encode(items))

    async with rig.engine.connect() as connection:
        kept = await connection.scalars(select(tables.touch.c.payload))
    assert sorted(msgspec.json.decode(payload)["mood"] for payload in kept) == sorted(item["mood"] for item in items)


async def test_a_record_that_breaks_the_handler(rig: Rig) -> None:
    """It is set aside once, however often that is tried, and the position is past it."""
    batch = await rig.batch(b"[]")
    await rig.scorer.set_aside(batch, RuntimeError("no idea"))
    rig.passed(batch)
    with pytest.raises(PositionLost):
        await rig.scorer.set_aside(batch, RuntimeError("no idea"))

    (rejected,) = await rig.rejected()
    assert rejected.reason == "handler_failed"
    assert "no idea" in rejected.message
    await rig.give(a_touch(1))


@pytest.mark.parametrize(
    "odd",
    [
        a_touch(1, aliases=(Alias("email", "nul\0@acme.example"), Alias("user", "u" * 5000))),
        a_touch(1, traits={"name": "nul\0", "deep": {"a": [1, {"b": None}]}, "big": 2**63}),
        a_touch(1, at=NOON.replace(year=1)),
        a_touch(1, at=NOON.replace(year=9999)),
        a_touch(1, path="/" + "x" * 100_000),
        a_touch(1, account_domain="nul\0.example", account_traits={"": ""}),
    ],
)
async def test_odd_touches(rig: Rig, odd: Touch) -> None:
    """Values that databases stumble over are values like others."""
    await rig.activate()

    await rig.give(odd)

    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert contact["touches"] == 1
    assert (await rig.get(f"/v1/contacts/{ADA}/touches"))["touches"]


async def test_the_trace_of_the_tipping_touch(rig: Rig) -> None:
    """What the request came with goes on to the router, so that one trace shows the whole way."""
    await rig.activate()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    await rig.give_records(encode_touches([a_demo_request(1)]), headers=((TRACE_HEADER, trace.encode()),))

    assert await rig.traces() == [trace]


async def test_without_an_agreement(rig: Rig) -> None:
    """Touches are kept and nothing is decided, until there is one: then each contact is, once."""
    await rig.give(a_profile("who"), a_demo_request(1), a_touch(2, path="/pricing"))
    assert await rig.messages() == []
    assert (await rig.get(f"/v1/contacts/{ADA}"))["missing"] == ["no active agreement"]
    assert await rig.sweep() == 0

    await rig.activate(TEXT.replace("touches: 8", "touches: 2"))

    assert await rig.sweep() == 1
    assert await rig.sweep() == 0
    (handoff,) = await rig.handoffs()
    assert handoff.reason == "threshold"
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == 61
