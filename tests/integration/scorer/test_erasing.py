"""Erasing a contact in the scorer: whole, for good, whatever is under way."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from services.scorer.store import tables
from shared.events.contact import ContactsMerged, encode_contact
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.topics import TopicName
from shared.events.touch import Alias, encode_touches
from tests.integration.scorer.conftest import Rig
from tests.integration.scorer.test_simulating import done
from tests.support.touches import ADA, BEN, NOON, TEXT, a_demo_request, a_profile, a_touch

EMAIL = (Alias("email", "ada@acme.example"),)


async def given_ada(rig: Rig) -> None:
    """Have Ada ready for sales, and Ben beside her."""
    await rig.activate()
    await rig.give(a_profile("who", aliases=EMAIL), a_touch("page"), a_demo_request("please"))
    await rig.give(a_profile("ben", contact=BEN, aliases=(Alias("email", "ben@firm.example"),)))


async def test_everything_goes_but_the_numbers(rig: Rig) -> None:
    """Contact, aliases, touches and the handoff in the outbox are gone; ids and anonymous counts remain."""
    await given_ada(rig)
    response = await rig.call("DELETE", f"/v1/contacts/{ADA}")

    assert response.status_code == 202
    told = response.json()
    assert (told["contact_ids"], told["touches"]) == ([str(ADA)], 3)
    assert (await rig.call("GET", f"/v1/contacts/{ADA}")).status_code == 404
    assert await rig.handoffs() == []
    (erased,) = await rig.erasures_told()
    assert (str(erased.id), erased.contact_ids) == (told["erasure"], (ADA,))
    async with rig.engine.connect() as connection:
        counts = (await connection.execute(select(tables.erased_touches))).all()
        contacts = (await connection.scalars(select(tables.contact.c.id))).all()
        touches = (await connection.scalars(select(tables.touch.c.contact_id))).all()
        aliases = (await connection.scalars(select(tables.alias.c.contact_id))).all()
    assert [(row.day, row.source, row.touches) for row in counts] == [(NOON.date(), "website", 3)]
    assert (contacts, touches, aliases) == ([BEN], [BEN], [BEN])


async def test_what_is_still_under_way(rig: Rig) -> None:
    """Touches and feedback that come later, and a replay of all of them, are dropped and counted."""
    await given_ada(rig)
    (handoff,) = await rig.handoffs()
    await rig.call("DELETE", f"/v1/contacts/{ADA}")
    await rig.give(a_profile("who", aliases=EMAIL), a_touch("late"), a_touch("bens", contact=BEN))
    await rig.tell(Feedback(id=uuid4(), handoff_id=handoff.id, contact_id=ADA, kind=FeedbackKind.WON, at=NOON))

    assert [contact["id"] for contact in (await rig.get("/v1/contacts"))["contacts"]] == [str(BEN)]
    assert await rig.count(tables.touch) == 2
    assert rig.metrics.registry.get_sample_value("tandem_erased_dropped_total", {"service": "scorer"}) == 3


async def test_asked_twice(rig: Rig) -> None:
    """The same erasure, told under the same id."""
    await given_ada(rig)
    first = (await rig.call("DELETE", f"/v1/contacts/{ADA}")).json()
    second = (await rig.call("DELETE", f"/v1/contacts/{ADA}")).json()

    assert second["erasure"] == first["erasure"]
    assert second["touches"] == 0
    assert [str(erased.id) for erased in await rig.erasures_told()] == [first["erasure"]]


async def test_while_touches_arrive(rig: Rig) -> None:
    """Whoever comes first, a contact that was erased is not there afterwards."""
    await rig.activate()
    for turn in range(20):
        contact = uuid4()
        await rig.give(a_profile(f"who {turn}", contact=contact))
        batch = await rig.batch(encode_touches([a_touch(f"{turn} {n}", contact=contact) for n in range(20)]))
        answer, _ = await asyncio.gather(rig.call("DELETE", f"/v1/contacts/{contact}"), rig.scorer.handle([batch]))
        rig.passed(batch)

        assert answer.status_code == 202
    assert (await rig.count(tables.contact), await rig.count(tables.touch)) == (0, 0)


async def test_a_contact_with_many_touches(rig: Rig) -> None:
    """More touches than are held in memory at once go in the same transaction."""
    for start in range(0, 12_000, 4_000):
        await rig.give(*(a_touch(number) for number in range(start, start + 4_000)))

    assert (await rig.call("DELETE", f"/v1/contacts/{ADA}")).json()["touches"] == 12_000
    assert await rig.count(tables.touch) == 0


async def test_an_export(rig: Rig) -> None:
    """It holds each trait with the touch that told it, and every touch in full, over more than a page."""
    await given_ada(rig)
    await rig.give(*(a_touch(number, properties={"number": number}) for number in range(1_100)))
    export = await rig.get(f"/v1/contacts/{ADA}/export")

    assert export["aliases"] == [{"kind": "email", "value": "ada@acme.example"}]
    assert export["traits"]["name"]["value"] == "Ada"
    assert export["decided"]["arming"] == "handed"
    assert len(export["touches"]) == len({touch["id"] for touch in export["touches"]}) == 1_103
    told_by = {touch["id"]: touch for touch in export["touches"]}[export["traits"]["name"]["touch_id"]]
    assert told_by["traits"]["name"] == "Ada"


async def test_an_export_of_what_was_decided(rig: Rig) -> None:
    """It holds each handoff with what sales said of it, and what simulations found of the contact."""
    await given_ada(rig)
    (handoff,) = await rig.handoffs()
    said = Feedback(
        id=uuid4(), handoff_id=handoff.id, contact_id=ADA, kind=FeedbackKind.REJECTED, at=NOON, reason="no_budget"
    )
    await rig.tell(said)
    rig.now = NOON + timedelta(hours=1)
    simulation = await done(rig, TEXT, since="30d")
    export = await rig.get(f"/v1/contacts/{ADA}/export")
    bens = await rig.get(f"/v1/contacts/{BEN}/export")

    assert export["handoffs"] == [
        {
            "id": str(handoff.id),
            "decided_for": str(ADA),
            "decided_at": "2026-03-01T12:00:00Z",
            "agreement": 1,
            "reason": "hand_raise",
            "answers": [{"id": str(said.id), "kind": "rejected", "at": "2026-03-01T12:00:00Z", "reason": "no_budget"}],
        }
    ]
    (lead,) = export["simulated"]
    assert (lead["found_by"], lead["outcome"], lead["outcome_reason"]) == (simulation["id"], "rejected", "no_budget")
    assert (bens["handoffs"], bens["simulated"]) == ([], [])


async def test_everybody_that_the_person_was(rig: Rig) -> None:
    """Contacts that were merged go together, by whichever of their ids somebody asks; a replay changes nothing."""
    await given_ada(rig)
    merged = ContactsMerged(id=uuid4(), survivor=ADA, other=BEN, aliases=(), at=NOON)
    await rig.give_records(encode_contact(merged), topic=TopicName.CONTACTS)
    told = (await rig.call("DELETE", f"/v1/contacts/{BEN}")).json()
    await rig.give_records(encode_contact(merged), topic=TopicName.CONTACTS)
    await rig.give(a_touch("late"), a_touch("bens", contact=BEN))

    assert told["contact_ids"] == [str(ADA), str(BEN)]
    for table in (tables.contact, tables.touch, tables.alias, tables.merge):
        assert await rig.count(table) == 0


@pytest.mark.parametrize("survivor", [ADA, BEN])
async def test_a_merge_that_is_heard_of_after_the_erasure(rig: Rig, survivor: UUID) -> None:
    """Who turns out to be the erased person is erased, too, and the other services are told."""
    await given_ada(rig)
    await rig.call("DELETE", f"/v1/contacts/{ADA}")
    other = BEN if survivor == ADA else ADA
    merged = ContactsMerged(id=uuid4(), survivor=survivor, other=other, aliases=(), at=NOON)
    await rig.give_records(encode_contact(merged), topic=TopicName.CONTACTS)
    await rig.give(a_touch("bens", contact=BEN))

    assert (await rig.count(tables.contact), await rig.count(tables.touch)) == (0, 0)
    assert [erased.contact_ids for erased in await rig.erasures_told()] == [(ADA,), (BEN,)]
