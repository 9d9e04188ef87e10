"""The scorer is killed at every single wait of its transactions, and nobody can tell afterwards."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from services.scorer.store import tables
from shared.events.contact import encode_contact
from shared.events.feedback import Feedback, FeedbackKind, encode_feedback
from shared.events.handoff import decode_handoff
from shared.events.topics import TopicName
from shared.events.touch import Alias, Touch, encode_touches
from shared.http.keys import Role
from shared.ids import contact_id, derived_id
from shared.log.records import Batch, Partition, StoredRecord
from tests.integration.scorer.conftest import Rig, open_rig
from tests.integration.scorer.test_merging import a_merge, undone
from tests.support.killing import Mortal
from tests.support.reference_model import expected, final
from tests.support.touches import NOON, a_demo_request, a_profile, a_touch, a_track, agreement, changed

DAY = timedelta(days=1)


@dataclass
class Case:
    """Two contacts of one try, and the names by which they tell each other apart from those of other tries."""

    number: int
    told: list[Touch] = field(default_factory=list)

    @property
    def ada(self) -> UUID:
        """One contact."""
        return contact_id("user", f"ada {self.number}")

    @property
    def ben(self) -> UUID:
        """Another."""
        return contact_id("user", f"ben {self.number}")

    def alias(self, who: UUID) -> Alias:
        """Return a name of the contact."""
        return Alias("user", f"{who}")

    def views(self, who: UUID, *, count: int, first: int = 0) -> list[Touch]:
        """Return page views of pricing, on a day each."""
        views = [
            a_touch(f"{who}/{day}", path="/pricing", at=NOON - day * DAY, contact=who, aliases=(self.alias(who),))
            for day in reversed(range(first, first + count))
        ]
        self.told += views
        return views

    def who(self, who: UUID) -> Touch:
        """Return who the contact is: one that fits."""
        self.told.append(a_profile(f"{who}who", contact=who, at=NOON - 30 * DAY))
        return self.told[-1]


Prepare = Callable[[Rig, Case], Awaitable[Callable[[Rig], Coroutine[Any, Any, object]]]]


async def touches(rig: Rig, case: Case) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """A crossing, asking for sales, a machine's clicks, and a repeat; of contacts new and known."""
    await rig.give(case.who(case.ada), *case.views(case.ada, count=4, first=4))
    clicks = [
        a_track(f"{case.ben}{link}", "Email Link Clicked", contact=case.ben, properties={"link_url": link})
        for link in "xy"
    ]
    new = [*clicks, a_demo_request(f"{case.ben}demo", contact=case.ben), *case.views(case.ada, count=4)]
    case.told += new[:3]
    records = [*new, case.told[1]]
    return lambda process: take(process, case, TopicName.TOUCHES, encode_touches(records))


async def feedback(rig: Rig, case: Case) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """Sales gives a contact back."""
    case.told.append(a_demo_request(f"{case.ada}demo", contact=case.ada))
    await rig.give(case.told[-1])
    (handoff,) = [each for each in await rig.handoffs() if each.contact.id == case.ada]
    said = Feedback(
        id=derived_id("said", case.ada),
        handoff_id=handoff.id,
        contact_id=case.ada,
        kind=FeedbackKind.RECYCLED,
        at=NOON + DAY,
    )
    return lambda process: take(process, case, TopicName.FEEDBACK, encode_feedback(said))


async def merge(rig: Rig, case: Case) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """Two halves of a lead become one."""
    await rig.give(case.who(case.ada), *case.views(case.ada, count=4), *case.views(case.ben, count=5))
    message = a_merge(case.ada, case.ben, merge_id=derived_id("merge", case.ada))
    return lambda process: take(process, case, TopicName.CONTACTS, encode_contact(message))


async def merge_of_nobody(rig: Rig, case: Case) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """A merge comes before any touch."""
    message = a_merge(case.ada, case.ben, merge_id=derived_id("merge", case.ada))
    return lambda process: take(process, case, TopicName.CONTACTS, encode_contact(message))


async def unmerge(rig: Rig, case: Case) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """They are two again."""
    await rig.give(case.who(case.ada), *case.views(case.ada, count=4), *case.views(case.ben, count=2))
    message = a_merge(case.ada, case.ben, merge_id=derived_id("merge", case.ada))
    await rig.give_records(encode_contact(message), topic=TopicName.CONTACTS)
    parting = undone(message, case.alias(case.ben))
    return lambda process: take(process, case, TopicName.CONTACTS, encode_contact(parting))


async def take(process: Rig, case: Case, topic: str, value: bytes) -> None:
    """Handle a record as a process does that was given its partition: unless its position is past it already."""
    partition = Partition(topic, case.number + 1)
    claim = await process.positions.claim("scorer", partition, 0, 1 << 40)
    if claim.position == 0:
        record = StoredRecord(partition=partition, offset=0, key=None, value=value, headers=(), appended_at=NOON)
        batch = Batch("scorer", partition, claim.epoch, 0, 1, (record,))
        await process.scorer.handle([batch])


async def outcome(rig: Rig, case: Case) -> dict[str, object]:
    """Return what is known of the contacts of a case, and what was told of them, without their ids."""
    found: dict[str, object] = {}
    async with rig.engine.connect() as connection:
        for name, who in (("ada", case.ada), ("ben", case.ben)):
            state = await rig.contacts.read(connection, who)
            if state is None:
                found[name] = None
                continue
            shown = await rig.get(f"/v1/contacts/{who}", as_of=NOON.isoformat())
            waiting = select(tables.outbox.c.value).where(tables.outbox.c.key == str(who).encode())
            told = [decode_handoff(value) for value in await connection.scalars(waiting.order_by("ordinal"))]
            found[name] = {
                "score": shown["engagement"],
                "touches": (shown["touches"], len((await rig.get(f"/v1/contacts/{who}/touches"))["touches"])),
                "arming": (state.arming.kind, state.arming.reason, state.arming.rearms_at, state.arming.since),
                "told": [(type(each).__name__, getattr(each, "reason", None)) for each in told],
                "merged": (len(state.merged), state.merged_into is not None, len(state.aliases)),
                "agreement": (state.agreement, state.counting, state.prepared is None),
            }
    return found


@pytest.mark.parametrize("prepare", [touches, feedback, merge, merge_of_nobody, unmerge])
async def test_at_every_wait_of_a_batch(rig: Rig, database_url: str, prepare: Prepare) -> None:
    """The next process finds the batch done or undone as a whole; in the end it is done, once."""
    await rig.activate()
    undisturbed = Case(0)
    await (await prepare(rig, undisturbed))(rig)
    wanted = await outcome(rig, undisturbed)
    number = 0
    for over in (False, True):
        wait, killed = 0, True
        while killed:
            wait, number = wait + 1, number + 1
            case = Case(number)
            work = await prepare(rig, case)
            async with open_rig(database_url) as process:
                killed = await Mortal(process.engine).run(work(process), wait=wait, over=over)
            await work(rig)
            assert await outcome(rig, case) == wanted, f"killed at wait {wait}"
        assert wait > 10
    if prepare is touches:
        assert_as_expected(undisturbed, wanted)


def assert_as_expected(case: Case, found: dict[str, Any]) -> None:
    """Hold scores and handoffs against plain code."""
    for name, who in (("ada", case.ada), ("ben", case.ben)):
        mine = [touch for touch in case.told if touch.contact_id == who]
        assert found[name]["score"]["score"] == pytest.approx(final(mine, agreement(), as_of=NOON).score, rel=1e-9)
        _, handoffs = expected({name: mine}, agreement(), as_of=NOON)
        assert len(found[name]["told"]) == len(handoffs) == 1


async def prices(rig: Rig, text: str) -> Callable[[Rig], Coroutine[Any, Any, object]]:
    """The second side signs other prices, which are applied to everybody."""
    draft = await rig.propose(text)
    await rig.sign(draft, Role.MARKETING)

    async def switch(process: Rig) -> None:
        async with process.engine.begin() as connection:
            await process.agreements.sign(
                connection,
                draft["version"],
                content_hash=draft["hash"],
                side="sales",
                by="Sam",
                key_fingerprint="0123456789ab",
                clock=lambda: process.now,
            )
        await sweep(process)

    return switch


async def sweep(process: Rig) -> None:
    """Apply the version in force to everybody."""
    while await process.sweeper.apply_agreement(limit=2):
        pass


async def test_at_every_wait_of_other_prices(rig: Rig, database_url: str) -> None:
    """Everybody is decided once under the new version; scores are those of plain code."""
    people = [UUID(int=(0xF << 124) + number) for number in range(2)]
    case = Case(0)
    told = [touch for who in people for touch in (case.who(who), *case.views(who, count=9, first=5))]
    modest = changed(("points: 10,", "points: 4,"))
    wait, killed = 0, True
    while killed:
        wait += 1
        await rig.activate(modest.replace("title: What", f"title: {wait} What"))
        await rig.give(*told)
        text = modest.replace("points: 4,", "points: 25,").replace("title: What", f"title: {wait} What")
        switch = await prices(rig, text)
        async with open_rig(database_url) as process:
            killed = await Mortal(process.engine).run(switch(process), wait=wait, over=False)
        await switch(rig)

        shown = await rig.get("/v1/agreements/active")
        assert shown["text"] == text, f"killed at wait {wait}"
        handed_off = [(each.agreement, each.reason) for each in await rig.handoffs()]
        assert handed_off == [(shown["version"], "threshold")] * 2
        for who in people:
            score = final([touch for touch in told if touch.contact_id == who], agreement(text), as_of=NOON).score
            contact = await rig.get(f"/v1/contacts/{who}", as_of=NOON.isoformat())
            assert contact["engagement"]["score"] == pytest.approx(score, rel=1e-9)
            assert (contact["agreement"], contact["touches"]) == (shown["version"], 9)
        await forget(rig)
    assert wait > 10


async def forget(rig: Rig) -> None:
    """Empty what is known of contacts."""
    async with rig.engine.begin() as connection:
        for table in (tables.contact, tables.touch, tables.alias, tables.outbox):
            await connection.execute(table.delete())
