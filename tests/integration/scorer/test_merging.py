"""Two contacts become one, and one becomes two again: nothing is lost, nothing counts twice."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import event

from services.scorer.domain.arming import ArmingKind
from services.scorer.store import tables
from shared.events.contact import ContactErased, ContactsMerged, ContactsUnmerged, encode_contact
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import ContactOptedOut
from shared.events.topics import TopicName
from shared.events.touch import Alias, Touch, encode_touches
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig, comparable, open_rig
from tests.support.reference_model import final, people
from tests.support.touches import ADA, BEN, NOON, a_demo_request, a_profile, a_touch, a_track, agreement

COOKIE = contact_id("anonymous", "cookie")
DAY = timedelta(days=1)


def a_merge(survivor: UUID, other: UUID, *, at: datetime = NOON, merge_id: UUID | None = None) -> ContactsMerged:
    """Return a merge."""
    return ContactsMerged(id=merge_id or uuid4(), survivor=survivor, other=other, aliases=(), at=at)


def undone(merge: ContactsMerged, *aliases: Alias) -> ContactsUnmerged:
    """Return the word that the merge was a mistake."""
    return ContactsUnmerged(
        id=merge.id, survivor=merge.survivor, other=merge.other, aliases=aliases, at=merge.at + timedelta(hours=1)
    )


async def tell(rig: Rig, *messages: ContactsMerged | ContactsUnmerged | ContactErased, number: int = 0) -> None:
    """Have the scorer handle the messages."""
    await rig.give_records(*map(encode_contact, messages), topic=TopicName.CONTACTS, number=number)


def days_of(contact: UUID, tag: str, *, count: int = 4) -> list[Touch]:
    """Return page views and a profile."""
    named = (Alias("anonymous", f"{tag}-cookie"),)
    return [
        a_touch(f"{tag}{number}", path="/pricing", at=NOON - number * DAY, contact=contact, aliases=named)
        for number in reversed(range(count))
    ]


async def test_two_contacts_become_one(rig: Rig) -> None:
    """The survivor has the touches, the aliases and the score of both; the other's id leads to it."""
    await rig.activate()
    both = [*days_of(ADA, "a"), *days_of(COOKIE, "c"), a_profile("who", contact=COOKIE, at=NOON - DAY)]
    await rig.give(*both)

    await tell(rig, a_merge(ADA, COOKIE))

    expected = final(both, agreement(), as_of=NOON)
    for asked in (ADA, COOKIE):
        shown = await rig.get(f"/v1/contacts/{asked}")
        assert shown["id"] == str(ADA)
        assert shown["merged"] == [str(COOKIE)]
        assert shown["engagement"]["score"] == pytest.approx(expected.score)
        assert sum(part["value"] for part in shown["engagement"]["parts"]) == shown["engagement"]["score"]
        assert shown["touches"] == 8
        assert len(shown["aliases"]) == 2
        assert len((await rig.get(f"/v1/contacts/{asked}/touches"))["touches"]) == 9
    assert [contact["id"] for contact in (await rig.get("/v1/contacts"))["contacts"]] == [str(ADA)]
    assert await rig.count(tables.alias) == 2


async def test_a_touch_that_both_have(rig: Rig) -> None:
    """It counts once."""
    await rig.activate()
    await rig.give(a_touch("same", contact=ADA), a_touch("same", contact=COOKIE), a_touch("own", contact=COOKIE))

    await tell(rig, a_merge(ADA, COOKIE))

    assert (await rig.state(ADA)).touches == 2
    assert await rig.count(tables.touch) == 2


async def test_a_daily_limit(rig: Rig) -> None:
    """What each side had counted up to the limit of a day is limited together: sums alone would count twice."""
    await rig.activate()
    await rig.give(*(a_touch(f"{side}{n}", path="/pricing", contact=side) for side in (ADA, COOKIE) for n in range(2)))

    await tell(rig, a_merge(ADA, COOKIE))

    parts = (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["parts"]
    assert {part["rule"]: part["count"] for part in parts} == {"pricing-viewed": 2, "page-viewed": 4}


async def test_a_merge_before_any_touch(rig: Rig) -> None:
    """What comes for either later is the survivor's."""
    await rig.activate()
    await tell(rig, a_merge(ADA, COOKIE))

    await rig.give(a_touch(1, contact=COOKIE), a_touch(2, contact=ADA))

    assert (await rig.state(ADA)).touches == 2
    assert (await rig.state(COOKIE)).touches == 0


async def test_a_merge_that_is_told_again(rig: Rig) -> None:
    """It is made once."""
    await rig.activate()
    await rig.give(*days_of(ADA, "a"), *days_of(COOKIE, "c"))
    merge = a_merge(ADA, COOKIE)
    await tell(rig, merge)
    before = await rig.state(ADA)

    await tell(rig, merge, merge)

    assert comparable(await rig.state(ADA)) == comparable(before)


@pytest.mark.parametrize("backwards", [False, True])
async def test_a_chain(rig: Rig, *, backwards: bool) -> None:
    """Of three contacts that turn out to be one, all is the last survivor's, whichever merge is heard of first."""
    await rig.activate()
    merges = [a_merge(BEN, COOKIE), a_merge(ADA, BEN)]
    await rig.give(a_touch(1, contact=COOKIE), a_touch(2, contact=BEN), a_touch(3, contact=ADA))

    for number, merge in enumerate(reversed(merges) if backwards else merges):
        await tell(rig, merge, number=number)
    await rig.give(*(a_touch(f"late{contact}", contact=contact) for contact in (COOKIE, BEN, ADA)))

    state = await rig.state(ADA)
    assert state.touches == 6
    assert state.merged == sorted([BEN, COOKIE])
    assert (await rig.get(f"/v1/contacts/{COOKIE}"))["id"] == str(ADA)


async def test_what_only_the_union_reaches(rig: Rig) -> None:
    """Two halves of a lead are a lead: it is handed off once, as of the merge."""
    await rig.activate()
    await rig.give(a_profile("who", at=NOON - DAY), *days_of(ADA, "a"), *days_of(COOKIE, "c", count=5))
    assert await rig.handoffs() == []
    merge = a_merge(ADA, COOKIE, at=NOON + timedelta(minutes=1))

    await tell(rig, merge)
    await tell(rig, merge)
    await rig.give(a_touch("more", path="/pricing", at=NOON + timedelta(minutes=2)))

    (handoff,) = await rig.handoffs()
    assert (handoff.contact.id, handoff.decided_at, handoff.reason) == (ADA, merge.at, "threshold")
    assert len(handoff.recent) == 9


@pytest.mark.parametrize("handed", [ADA, COOKIE])
async def test_a_contact_that_was_handed_off(rig: Rig, handed: UUID) -> None:
    """Whichever side has the open handoff, the union gets no second; giving it back re-arms the union."""
    await rig.activate()
    await rig.give(a_demo_request("please", contact=handed), *days_of(ADA, "a"), *days_of(COOKIE, "c", count=5))
    await tell(rig, a_merge(ADA, COOKIE, at=NOON + timedelta(minutes=1)))
    await rig.give(a_profile("who"), a_demo_request("again", contact=COOKIE, at=NOON + timedelta(hours=1)))
    (handoff,) = await rig.handoffs()

    await rig.tell(
        Feedback(id=uuid4(), handoff_id=handoff.id, contact_id=handed, kind=FeedbackKind.RECYCLED, at=NOON + DAY)
    )

    assert (await rig.state(ADA)).arming.kind is ArmingKind.COOLING


async def test_an_opt_out_of_the_other(rig: Rig) -> None:
    """The union is left alone, and the router hears it under each id that a handoff may have."""
    await rig.activate()
    await rig.give(a_demo_request("please"), a_track("out", "Unsubscribed", contact=COOKIE, opted_out=True))

    await tell(rig, a_merge(ADA, COOKIE))

    (handoff,) = await rig.handoffs()
    told = [message for message in await rig.messages() if isinstance(message, ContactOptedOut)][-2:]
    assert {message.contact_id for message in told} == {ADA, COOKIE}
    assert all(message.at >= handoff.decided_at for message in told)


async def test_an_opt_out_after_the_merge(rig: Rig) -> None:
    """It is told under all ids, wherever it was said."""
    await rig.activate()
    await rig.give(a_demo_request("please", contact=COOKIE))
    await tell(rig, a_merge(ADA, BEN), a_merge(BEN, COOKIE))

    await rig.give(a_track("out", "Unsubscribed", opted_out=True, contact=COOKIE))

    told = [message.contact_id for message in await rig.messages() if isinstance(message, ContactOptedOut)]
    assert sorted(told) == sorted([ADA, BEN, COOKIE])


async def test_a_merge_that_is_undone(rig: Rig) -> None:
    """Both have exactly what they had, and what they did meanwhile goes where it belongs."""
    await rig.activate()
    mine = (Alias("anonymous", "c-cookie"),)
    await rig.give(*days_of(ADA, "a"), *days_of(COOKIE, "c", count=6), a_demo_request("please", contact=COOKIE))
    before = {contact: await rig.state(contact) for contact in (ADA, COOKIE)}
    merge = a_merge(ADA, COOKIE)
    await tell(rig, merge)
    await rig.give(a_touch("by its id", contact=COOKIE), a_touch("by its alias", contact=ADA, aliases=mine))

    await tell(rig, undone(merge, *mine))
    await tell(rig, undone(merge, *mine))

    touches = (await rig.get(f"/v1/contacts/{COOKIE}/touches"))["touches"]
    assert len(touches) == 9
    ada, cookie = await rig.state(ADA), await rig.state(COOKIE)
    assert (ada.rules, ada.touches, ada.aliases) == (before[ADA].rules, 4, before[ADA].aliases)
    assert ada.arming.kind is ArmingKind.ARMED
    assert (cookie.touches, cookie.aliases) == (9, before[COOKIE].aliases)
    assert cookie.arming.handoff_id == before[COOKIE].arming.handoff_id
    assert len(await rig.handoffs()) == 1
    listed = (await rig.get("/v1/contacts"))["contacts"]
    assert sorted(contact["id"] for contact in listed) == sorted([str(ADA), str(COOKIE)])


async def test_a_touch_of_before_that_comes_after_the_undoing(rig: Rig) -> None:
    """It is of whom its strongest name names since, and carries no name of the other's over."""
    await rig.activate()
    hers, his = Alias("anonymous", "c-cookie"), Alias("anonymous", "a-cookie")
    await rig.give(*days_of(ADA, "a"), *days_of(COOKIE, "c"))
    merge = a_merge(ADA, COOKIE)
    await tell(rig, merge)
    await tell(rig, undone(merge, hers))

    for _ in range(2):
        await rig.give(a_touch("late", contact=ADA, aliases=(hers, his)))
        await rig.give(a_touch("later", contact=ADA, aliases=(his, hers)))

    ada, cookie = await rig.state(ADA), await rig.state(COOKIE)
    assert (ada.touches, ada.aliases) == (5, [his])
    assert (cookie.touches, cookie.aliases) == (5, [hers])


async def test_a_touch_of_somebody_erased_after_the_undoing(rig: Rig) -> None:
    """It is dropped, though it comes under the other's id."""
    await rig.activate()
    hers = Alias("anonymous", "c-cookie")
    await rig.give(*days_of(ADA, "a"), *days_of(COOKIE, "c"))
    merge = a_merge(ADA, COOKIE)
    await tell(rig, merge)
    await tell(rig, undone(merge, hers))
    assert (await rig.call("DELETE", f"/v1/contacts/{COOKIE}")).is_success

    await rig.give(a_touch("late", contact=ADA, aliases=(hers,)))

    assert (await rig.state(ADA)).touches == 4
    assert [contact["id"] for contact in (await rig.get("/v1/contacts"))["contacts"]] == [str(ADA)]


async def test_a_merge_that_is_undone_in_the_middle_of_a_chain(rig: Rig) -> None:
    """What was merged into the other goes with it."""
    await rig.activate()
    middle = a_merge(ADA, BEN)
    await rig.give(a_touch(1, contact=COOKIE), a_touch(2, contact=BEN), a_touch(3, contact=ADA))
    await tell(rig, middle)
    await tell(rig, a_merge(BEN, COOKIE), number=1)

    await tell(rig, undone(middle))

    assert (await rig.state(ADA)).touches == 1
    assert (await rig.state(ADA)).merged == []
    assert (await rig.state(BEN)).touches == 2
    assert (await rig.get(f"/v1/contacts/{COOKIE}"))["id"] == str(BEN)


async def test_an_undoing_that_comes_first(rig: Rig) -> None:
    """The merge is then not made at all."""
    await rig.activate()
    await rig.give(a_touch(1), a_touch(2, contact=COOKIE))
    merge = a_merge(ADA, COOKIE)

    await tell(rig, undone(merge))
    await tell(rig, merge)

    assert (await rig.state(ADA)).touches == 1
    assert (await rig.state(COOKIE)).touches == 1


async def test_two_merges_in_a_circle(rig: Rig) -> None:
    """A merge the other way round waits for the first to be undone, whichever is heard of first."""
    await rig.activate()
    await rig.give(a_touch(1), a_touch(2, contact=COOKIE))
    first, second = a_merge(ADA, COOKIE), a_merge(COOKIE, ADA)

    await tell(rig, first)
    await tell(rig, second, number=1)
    await tell(rig, undone(first))

    assert (await rig.state(COOKIE)).touches == 2
    assert (await rig.get(f"/v1/contacts/{ADA}"))["id"] == str(COOKIE)


async def test_a_new_agreement_after_a_merge(rig: Rig) -> None:
    """A tombstone is swept once and never decided."""
    await rig.activate()
    await rig.give(*days_of(ADA, "a"), *days_of(COOKIE, "c"))
    await tell(rig, a_merge(ADA, COOKIE))
    score = (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"]

    await rig.activate(
        "# again\n" + (await rig.get("/v1/agreements/active"))["text"].replace("50, fit: 50", "51, fit: 51")
    )

    assert await rig.sweep() == 2
    assert await rig.sweep() == 0
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == pytest.approx(score)


async def test_messages_of_no_concern_and_malformed_ones(rig: Rig) -> None:
    """An erasure is the scorer's own word; what cannot be read is set aside with the reason."""
    await tell(rig, ContactErased(id=uuid4(), contact_ids=(ADA,), at=NOON), a_merge(ADA, ADA))
    await rig.give_records(b"{}", topic=TopicName.CONTACTS)

    assert [item.reason for item in await rig.rejected()] == ["malformed_contact"] * 2


class Crash(Exception):
    """Stands for the end of the process."""


class Crashing:
    """Ends transactions of an engine at a random statement, every now and then."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self._dice = dice
        self._left: int | None = None
        event.listen(rig.engine.sync_engine, "before_cursor_execute", self._before)

    def soon(self) -> None:
        """Crash at one of the next statements, perhaps."""
        self._left = self._dice.choice([None, None, *range(14)])

    def _before(self, *_: Any) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._left = None
                raise Crash


Step = tuple[str, bytes]  # topic and record


async def work(rig: Rig, steps: Sequence[tuple[int, list[Step]]], dice: random.Random) -> None:
    """Handle the steps in order, each a call with records of a partition; what crashes is tried again."""
    crashing = Crashing(rig, dice)
    for number, records in steps:
        by_topic: dict[str, list[bytes]] = {}
        for topic, value in records:
            by_topic.setdefault(topic, []).append(value)
        batches = [await rig.batch(*values, topic=topic, number=number) for topic, values in by_topic.items()]
        while True:
            crashing.soon()
            try:
                await rig.scorer.handle(batches)
            except Crash:
                continue
            finally:
                crashing._left = None  # our own
            break
        for batch in batches:
            rig.passed(batch)


def a_life(contact: UUID, dice: random.Random) -> list[Touch]:
    """Return what one contact does: pages, mails, clicks that are close to each other, and now and then an opt-out."""
    touches = [a_profile(f"{contact}who", contact=contact, at=NOON - 9 * DAY)] if dice.random() < 0.5 else []
    for number in range(dice.randrange(1, 14)):
        at = NOON - timedelta(days=dice.randrange(4), milliseconds=dice.randrange(12_000))
        name = f"{contact}/{number}"
        match dice.choice(["page", "delivered", "click", "click", "click", "out"]):
            case "page":
                touches.append(a_touch(name, path=dice.choice(["/pricing", "/blog/x"]), at=at, contact=contact))
            case "delivered":
                mail = {"email_id": dice.choice("mn")}
                touches.append(a_track(name, "Email Delivered", at=at, contact=contact, properties=mail))
            case "click":
                link = {"link_url": dice.choice("xyz"), "email_id": dice.choice("mn")}
                touches.append(a_track(name, "Email Link Clicked", at=at, contact=contact, properties=link))
            case _ if dice.random() < 0.1:
                touches.append(a_track(name, "Unsubscribed", at=at, contact=contact, opted_out=True))
    return touches


@pytest.mark.parametrize("seed", range(6))
async def test_any_interleaving_of_two_scorers(rig: Rig, database_url: str, seed: int) -> None:
    """Touches, merges in any order and chains, repeats and crashes at any statement end in what plain code computes."""
    await rig.activate()
    dice = random.Random(seed)
    contacts = [contact_id("user", f"{seed}/{number}") for number in range(9)]
    touches = [touch for contact in contacts for touch in a_life(contact, dice)]
    # The first three are roots; each of the others is merged into one before it: chains and stars.
    pairs = [(contacts[dice.randrange(number)], contacts[number]) for number in range(3, 9)]
    steps: list[tuple[int, Step]] = []
    for survivor, other in pairs:
        steps.append((other.int % 4, (TopicName.CONTACTS, encode_contact(a_merge(survivor, other)))))
    into: dict[UUID, UUID] = {other: survivor for survivor, other in pairs}
    for touch in touches:
        value = encode_touches([touch])
        steps += [(touch.contact_id.int % 4, (TopicName.TOUCHES, value))] * dice.choice([1, 1, 2])
        if touch.contact_id in into and dice.random() < 0.4:  # ingest made the merge between two tries
            again = msgspec.structs.replace(touch, contact_id=into[touch.contact_id])
            steps.append((again.contact_id.int % 4, (TopicName.TOUCHES, encode_touches([again]))))
    dice.shuffle(steps)

    def of_partitions(*numbers: int) -> list[tuple[int, list[Step]]]:
        calls: list[tuple[int, list[Step]]] = []
        for number in numbers:
            mine = [step for partition, step in steps if partition == number]
            while mine:
                size = dice.choice([1, 2, 5])
                calls.append((number, mine[:size]))
                mine = mine[size:]
        order = [number for number, _ in calls]
        dice.shuffle(order)
        queues = {number: [call for call in calls if call[0] == number] for number in numbers}
        return [queues[number].pop(0) for number in order]

    async with open_rig(database_url) as other_rig:
        await asyncio.gather(
            work(rig, of_partitions(0, 1), random.Random(seed)),
            work(other_rig, of_partitions(2, 3), random.Random(seed + 1)),
        )

    expected = {str(who): final(did, agreement(), as_of=NOON) for who, did in people(touches, pairs).items()}
    shown = {contact["id"]: contact for contact in (await rig.get("/v1/contacts", limit=200))["contacts"]}
    assert shown.keys() == expected.keys() | {str(contact) for contact in contacts[:3]}
    for who, contact in shown.items():
        parts = contact["engagement"]["parts"]
        assert sum(part["value"] for part in parts) == contact["engagement"]["score"]
        if who in expected:
            assert contact["engagement"]["score"] == pytest.approx(expected[who].score, rel=1e-9, abs=1e-9)
            assert contact["touches"] == expected[who].touches
            assert contact["opted_out"] == expected[who].opted_out
            listed = (await rig.get(f"/v1/contacts/{who}/touches", limit=200))["touches"]
            reasons = {touch["id"]: touch["suspect"]["reason"] for touch in listed if touch["suspect"]}
            assert reasons == {str(touch): reason for touch, reason in expected[who].suspect.items()}
    assert await rig.count(tables.touch) == len(touches)
    made = [handoff.id for handoff in await rig.handoffs()]
    assert len(made) == len(set(made))
