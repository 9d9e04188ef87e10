"""What stood before a contact's next handoff at earlier instants, over HTTP."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.scorer.store import tables
from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import HandoffReady
from shared.ids import derived_id
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track, changed

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ANSWERS = (FeedbackKind.ACCEPTED, FeedbackKind.RECYCLED, FeedbackKind.RECYCLED, FeedbackKind.WON, FeedbackKind.LOST)


async def test_between_handoffs(rig: Rig) -> None:
    """Before the first it was free, then with sales until engagement fell, as what was known then foretold."""
    await rig.activate()
    rig.now = NOON + DAY
    await rig.give(a_profile("who", at=rig.now), a_demo_request(1, at=rig.now))
    foretold = (await rig.get(f"/v1/contacts/{ADA}"))["arming"]
    rig.now = NOON + 90 * DAY
    await rig.give(a_demo_request(2, at=rig.now))

    free, with_sales, fallen = [
        (await rig.get(f"/v1/contacts/{ADA}", as_of=(NOON + days * DAY).isoformat()))["arming"] for days in (0.5, 2, 60)
    ]

    assert (free["state"], free["handoff_id"]) == ("armed", None)
    assert with_sales == foretold
    assert (with_sales["state"], with_sales["until"][:10]) == ("handed", "2026-03-17")  # 50 is 35 after 15.4 days
    assert (fallen["state"], fallen["handoff_id"]) == ("armed", foretold["handoff_id"])


@pytest.mark.parametrize("seed", range(6))
async def test_arming_of_the_past(rig: Rig, seed: int) -> None:
    """It is what was shown then, whatever became of the contact since."""
    dice = random.Random(seed)
    await rig.activate()
    await rig.give(a_profile("who"))
    was: list[tuple[datetime, Any]] = []
    for number in range(60):
        rig.now += timedelta(hours=dice.choice([1, 10, 100, 400]), minutes=number)
        match dice.choice(["page", "page", "page", "demo", "answer", "wish", "prices", "sweep"]):
            case "page":
                views = range(dice.choice([1, 6]))
                await rig.give(*(a_touch(f"{number} {one}", path="/pricing", at=rig.now) for one in views))
            case "demo":
                await rig.give(a_demo_request(number, at=rig.now))
            case "answer" if handoffs := await rig.handoffs():
                await answer(rig, dice.choice(handoffs[-2:]), kind=dice.choice(ANSWERS))
            case "wish":
                await rig.give(a_track(number, "Wish", at=rig.now, opted_out=dice.random() < 0.3))
            case "prices":
                below = dice.choice([20, 30, 40])
                await rig.activate(changed(("below: 35", f"below: {below}"), ("title: What", f"title: {number} What")))
                await rig.sweep()
            case _:
                await rig.sweeper.arm_cooled(limit=10)
        was.append((rig.now, (await rig.get(f"/v1/contacts/{ADA}"))["arming"]))

    states = {arming["state"] for _, arming in was}
    assert len(await rig.handoffs()) > 1
    assert len(states) > 2
    rig.now += DAY
    for at, arming in was:
        told = (await rig.get(f"/v1/contacts/{ADA}", as_of=at.isoformat()))["arming"]
        assert without_until(told) == without_until(arming), at
        assert (told["until"] is None) == (arming["until"] is None)
        if told["until"] is not None:
            assert abs(datetime.fromisoformat(told["until"]) - datetime.fromisoformat(arming["until"])) < SECOND


async def test_a_handoff_of_before_handoffs_were_kept(rig: Rig) -> None:
    """What sales said of it is known, and it is not: what stood then is told as unknown."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    (handoff,) = await rig.handoffs()
    rig.now = NOON + DAY
    await answer(rig, handoff, kind=FeedbackKind.RECYCLED)
    async with rig.engine.begin() as connection:
        await connection.execute(tables.handoff.update().values(decided_at=None, agreement=None, reason=None))
    rig.now = NOON + 50 * DAY
    await rig.give(a_demo_request(2, at=rig.now))

    arming = (await rig.get(f"/v1/contacts/{ADA}", as_of=(NOON + 2 * DAY).isoformat()))["arming"]

    assert (arming["state"], arming["words"]) == (None, "not known: it follows a handoff of an earlier release")


async def answer(rig: Rig, handoff: HandoffReady, *, kind: FeedbackKind) -> None:
    """Have sales say something about a handoff now."""
    said = derived_id("said", handoff.id, kind, rig.now)
    await rig.tell(Feedback(id=said, handoff_id=handoff.id, contact_id=handoff.contact.id, kind=kind, at=rig.now))


def without_until(arming: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of the arming but for the instant, which may differ in the last digits of a sum."""
    return {key: value for key, value in arming.items() if key != "until"}
