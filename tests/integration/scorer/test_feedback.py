"""What sales says back, opting out, and cooling down."""

from datetime import timedelta
from uuid import UUID, uuid4

from shared.events.feedback import Feedback, FeedbackKind
from shared.events.handoff import ContactOptedOut, HandoffReady
from tests.integration.scorer.conftest import Rig, comparable
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track

DAY = timedelta(days=1)


def said(kind: FeedbackKind, handoff: HandoffReady, *, days: float = 0) -> Feedback:
    """Return feedback about the handoff."""
    return Feedback(id=uuid4(), handoff_id=handoff.id, contact_id=ADA, kind=kind, at=NOON + days * DAY)


async def test_given_back_and_warm_again(rig: Rig) -> None:
    """A contact that sales recycled is handed off again, after the cool-down and not before."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1), *(a_touch(n, path="/pricing") for n in range(2, 9)))
    (first,) = await rig.handoffs()
    await rig.tell(said(FeedbackKind.REJECTED, first, days=1))
    await rig.tell(said(FeedbackKind.RECYCLED, first, days=1))
    assert (await rig.get(f"/v1/contacts/{ADA}"))["arming"]["state"] == "cooling"

    for day in (2, 20, 30):
        await rig.give(*(a_touch(f"{day}/{n}", path="/pricing", at=NOON + day * DAY) for n in range(2)))
    assert len(await rig.handoffs()) == 1
    await rig.give(a_touch("31", path="/pricing", at=NOON + 31 * DAY))

    first, second = await rig.handoffs()
    assert first.id != second.id
    assert second.reason == "threshold"
    assert second.decided_at == NOON + 31 * DAY


async def test_feedback_that_is_repeated(rig: Rig) -> None:
    """The same message again, or one about a contact or a handoff that we do not know, changes nothing."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))
    (handoff,) = await rig.handoffs()
    given_back = said(FeedbackKind.RECYCLED, handoff)
    await rig.tell(given_back)
    before = comparable(await rig.state(ADA))

    await rig.tell(given_back)
    await rig.tell(Feedback(id=uuid4(), handoff_id=UUID(int=1), contact_id=ADA, kind=FeedbackKind.RECYCLED, at=NOON))
    await rig.tell(Feedback(id=uuid4(), handoff_id=handoff.id, contact_id=UUID(int=1), kind=FeedbackKind.WON, at=NOON))

    assert comparable(await rig.state(ADA)) == before


async def test_opting_out(rig: Rig) -> None:
    """Scoring stops at once, the router is told once, and nothing is handed off until the contact opts in again."""
    await rig.activate()
    await rig.give(a_profile("who"), *(a_touch(n, path="/pricing") for n in range(7)))
    await rig.give(a_track("out", "Unsubscribed", opted_out=True))
    await rig.give(a_track("out", "Unsubscribed", opted_out=True), a_demo_request("please"))

    (message,) = await rig.messages()
    assert isinstance(message, ContactOptedOut)
    assert message.contact_id == ADA
    assert message.at == NOON
    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert contact["engagement"]["score"] == 0
    assert contact["engagement"]["parts"][-1]["adjustment"] == "opted_out"
    assert sum(part["value"] for part in contact["engagement"]["parts"]) == 0
    assert contact["ready"] is False
    assert contact["missing"][0] == "opted out"

    await rig.give(a_track("in", "Subscribed", opted_out=False, at=NOON + DAY))
    await rig.give(a_demo_request("again", at=NOON + DAY))
    assert [type(message) for message in await rig.messages()] == [ContactOptedOut, HandoffReady]


async def test_cooled_down(rig: Rig) -> None:
    """The sweeper arms a contact when its time has come, and changes no decision by that."""
    await rig.activate()
    await rig.give(a_profile("who"), a_demo_request(1))  # 50 · 2^(-t/30 d) < 35 after 15.4 days
    assert await rig.sweeper.arm_cooled(limit=10) == 0

    rig.now = NOON + 15 * DAY
    assert await rig.sweeper.arm_cooled(limit=10) == 0
    rig.now = NOON + 16 * DAY
    assert await rig.sweeper.arm_cooled(limit=10) == 1
    assert await rig.sweeper.arm_cooled(limit=10) == 0
    assert (await rig.get(f"/v1/contacts/{ADA}"))["arming"]["state"] == "armed"

    await rig.give(a_demo_request("late", at=NOON + 14 * DAY))  # was in the backlog: the first was open then
    assert len(await rig.handoffs()) == 1
    await rig.give(a_demo_request("new", at=NOON + 200 * DAY))
    assert len(await rig.handoffs()) == 2
