"""An agreement that counts otherwise: counted in the background, then in force for everybody at one instant."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, text

from services.scorer.store import tables
from services.scorer.store.contacts import all_of
from shared.events.contact import encode_contact
from shared.events.topics import TopicName
from shared.events.touch import Touch, encode_touches
from shared.http.keys import Role
from shared.ids import contact_id
from tests.integration.scorer.conftest import Rig, open_rig
from tests.integration.scorer.test_merging import Crash, a_life, a_merge
from tests.support.reference_model import final, people
from tests.support.touches import ADA, NOON, a_profile, a_touch, agreement, changed

FASTER = changed(("half_life: 30d", "half_life: 10d"))
OTHER_PATH = changed(("/pricing*", "/blog/*"))
HOUR = timedelta(hours=1)


def days_of(contact: UUID, *, count: int = 9) -> list[Touch]:
    """Return who somebody is, and a page view of pricing on each of the last days."""
    who = a_profile(f"{contact}who", contact=contact, at=NOON - timedelta(days=40))
    views = [
        a_touch(f"{contact}{day}", path="/pricing", at=NOON - timedelta(days=day), contact=contact)
        for day in reversed(range(count))
    ]
    return [who, *views]


async def test_the_old_version_is_in_force_until_all_is_counted(rig: Rig) -> None:
    """Decisions fall under the old version; what is shown tells how far the new one is; then it is in force."""
    first = await rig.activate()
    for number in range(60):
        await rig.give(*days_of(contact_id("user", f"p{number}"), count=3))
    rig.now += HOUR

    version = await rig.agree(FASTER)

    shown = await rig.get(f"/v1/agreements/{version}")
    assert (shown["status"], shown["replay"]["replaces"], shown["replay"]["progress"]) == ("activating", first, 0)
    assert (await rig.get("/v1/agreements/active"))["version"] == first
    await rig.replaying.go_on(limit=10)
    halfway = (await rig.get(f"/v1/agreements/{version}"))["replay"]
    assert 0 < halfway["progress"] < 1
    assert halfway["contacts"] > 0
    await rig.give(*days_of(ADA))
    (handoff,) = await rig.handoffs()
    assert handoff.agreement == first

    rig.now += HOUR
    await rig.replay()

    shown = await rig.get("/v1/agreements/active")
    assert (shown["version"], shown["activated_at"]) == (version, rig.now.isoformat().replace("+00:00", "Z"))
    assert (shown["replay"]["progress"], shown["replay"]["contacts"]) == (1, 61)
    assert shown["replay"]["finished_at"] == shown["activated_at"]
    assert (await rig.get(f"/v1/agreements/{first}"))["status"] == "superseded"
    assert await rig.sweep() == 61


@pytest.mark.parametrize("text", [FASTER, OTHER_PATH])
async def test_nothing_is_left_to_count_when_it_is_in_force(rig: Rig, text: str) -> None:
    """What arrived before, meanwhile and after counts under the new version, and no history is read for it any more."""
    await rig.activate()
    touches = [*days_of(ADA, count=4), a_touch("blog", path="/blog/x"), a_touch("more", path="/pricing")]
    await rig.give(*touches[:3])
    await rig.agree(text)
    await rig.give(*touches[3:4])  # before its contact is counted
    await rig.replay_counts()
    await rig.give(*touches[4:5])  # after it
    await rig.replay()
    async with rig.engine.begin() as connection:
        await connection.execute(tables.touch.delete())
    assert await rig.sweep() == 1
    await rig.give(*touches[5:])

    counted = await rig.get(f"/v1/contacts/{ADA}")
    assert counted["engagement"]["score"] == pytest.approx(final(touches, agreement(text), as_of=NOON).score, rel=1e-9)
    assert (await rig.state(ADA)).prepared is None


async def test_other_prices_need_no_counting(rig: Rig) -> None:
    """They are in force with the second signature."""
    await rig.activate()
    await rig.give(*days_of(ADA))

    version = await rig.agree(changed(("points: 10,", "points: 12,")))

    shown = await rig.get("/v1/agreements/active")
    assert (shown["version"], shown["replay"]) == (version, None)


@pytest.mark.parametrize("later", [changed(("points: 10,", "points: 12,")), OTHER_PATH])
async def test_a_version_that_is_signed_meanwhile(rig: Rig, later: str) -> None:
    """It takes the place of the one that is being counted, of which nothing remains."""
    await rig.activate()
    touches = [*days_of(ADA, count=4), a_touch("blog", path="/blog/x")]
    await rig.give(*touches[:4])
    superseded = await rig.agree(FASTER)
    await rig.replay_counts()

    version = await rig.agree(later)
    await rig.give(*touches[4:])
    await rig.replay()
    await rig.sweep()

    assert (await rig.get(f"/v1/agreements/{superseded}"))["status"] == "superseded"
    assert (await rig.get("/v1/agreements/active"))["version"] == version
    expected = final(touches, agreement(later), as_of=NOON).score
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == pytest.approx(expected, rel=1e-9)
    assert (await rig.state(ADA)).prepared is None


async def test_back_to_what_is_being_counted(rig: Rig) -> None:
    """Counts that were prepared for a version before are not taken for it: they lack what arrived since."""
    await rig.activate()
    await rig.give(*days_of(ADA, count=3))
    await rig.agree(FASTER)
    await rig.replay_counts()
    await rig.agree(changed(("points: 10,", "points: 12,")))
    await rig.give(a_touch("between", path="/pricing"))

    await rig.activate(FASTER)
    await rig.sweep()

    touches = [*days_of(ADA, count=3), a_touch("between", path="/pricing")]
    expected = final(touches, agreement(FASTER), as_of=NOON).score
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == pytest.approx(expected, rel=1e-9)


async def test_a_release_that_knows_of_no_replays(rig: Rig) -> None:
    """What it stores has no counts of the new version: they are made from the history when it is in force."""
    await rig.activate()
    touches = [*days_of(ADA, count=4), a_touch("blog", path="/blog/x")]
    await rig.give(*touches)
    await rig.agree(FASTER)
    await rig.replay_counts()
    state = await rig.state(ADA)
    state.prepared = None
    async with rig.engine.begin() as connection:
        await rig.contacts.save(connection, all_of({ADA: state}))

    await rig.replay()
    await rig.sweep()

    expected = final(touches, agreement(FASTER), as_of=NOON).score
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == pytest.approx(expected, rel=1e-9)


async def test_a_release_that_knows_of_no_replays_activates(rig: Rig) -> None:
    """A version that it put in force is newer than the one that is being counted, and stays."""
    await rig.activate()
    await rig.give(*days_of(ADA, count=4))
    counted = await rig.agree(FASTER)
    draft = await rig.propose(changed(("points: 10,", "points: 12,")))
    async with rig.engine.begin() as connection:
        for side in ("marketing", "sales"):
            signed = {"version": draft["version"], "side": side, "signed_by": side, "signed_at": rig.now}
            await connection.execute(tables.signature.insert().values(**signed, content_hash=draft["hash"]))
        for status, old in (("superseded", "active"), ("active", "draft")):
            await connection.execute(
                text("UPDATE scorer.agreement SET status = :status, activated_at = now() WHERE status = :old"),
                {"status": status, "old": old},
            )

    await rig.replay()

    assert (await rig.get("/v1/agreements/active"))["version"] == draft["version"]
    assert (await rig.get(f"/v1/agreements/{counted}"))["status"] == "superseded"


async def test_nobody_signs_for_the_other_side(rig: Rig) -> None:
    """One signature begins no counting."""
    await rig.activate()
    draft = await rig.propose(FASTER)

    assert (await rig.sign(draft, Role.SALES))["status"] == "draft"

    assert await rig.replaying.go_on(limit=10) == 0


class Crashing:
    """Ends transactions of an engine at a random statement, every now and then."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self._dice = dice
        event.listen(rig.engine.sync_engine, "before_cursor_execute", self._before)
        self.armed = False

    def _before(self, *_: Any) -> None:
        if self.armed and self._dice.random() < 0.06:
            raise Crash


async def persist(rig: Rig, crashing: Crashing, work: Any) -> int:
    """Do the work until it goes through, whatever crashes."""
    while True:
        crashing.armed = True
        try:
            return int(await work() or 0)
        except Crash:
            continue
        finally:
            crashing.armed = False


@pytest.mark.parametrize("seed", range(2))
async def test_two_processes_that_crash_while_touches_and_merges_arrive(rig: Rig, database_url: str, seed: int) -> None:
    """Scores are those that plain code computes under the new version, from the instant on at which it is in force."""
    await rig.activate()
    dice = random.Random(seed)
    contacts = [contact_id("user", f"{seed}/{number}") for number in range(12)]
    touches = [touch for contact in contacts for touch in a_life(contact, dice)]
    dice.shuffle(touches)
    pairs = [(contacts[dice.randrange(number)], contacts[number]) for number in range(7, 10)]
    third = len(touches) // 3
    await rig.give(*touches[:third])
    await rig.agree(FASTER)

    async with open_rig(database_url) as other:

        async def count(worker: Rig) -> None:
            crashing = Crashing(worker, random.Random(seed))
            steps = (lambda: worker.replaying.go_on(limit=2), lambda: worker.sweeper.apply_agreement(limit=2))
            for step in steps:
                while await persist(worker, crashing, step):
                    pass

        async def receive() -> None:
            merges = [encode_contact(a_merge(*pair)) for pair in pairs]
            for number, touch in enumerate(touches[third:]):
                await other.give_records(encode_touches([touch]), number=1)
                if number % 9 == 0 and merges:
                    await other.give_records(merges.pop(), topic=TopicName.CONTACTS, number=1)
            for merge in merges:
                await other.give_records(merge, topic=TopicName.CONTACTS, number=1)

        await asyncio.gather(count(rig), receive())
        await count(other)

    assert await rig.replaying.go_on(limit=10) == 0
    await rig.sweep()
    assert (await rig.get("/v1/agreements/active"))["text"] == FASTER
    shown = {contact["id"]: contact for contact in (await rig.get("/v1/contacts", limit=200))["contacts"]}
    for who, did in people(touches, pairs).items():
        expected = final(did, agreement(FASTER), as_of=NOON)
        assert shown[str(who)]["engagement"]["score"] == pytest.approx(expected.score, rel=1e-9, abs=1e-9)
        assert shown[str(who)]["touches"] == expected.touches
        assert (await rig.state(who)).prepared is None
