"""From touches to scores and handoffs, on a real database."""

from datetime import timedelta

import pytest

from services.scorer.store import tables
from shared.events.handoff import HandoffReady
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track


async def test_a_contact_explains_its_score(rig: Rig) -> None:
    """The answer has the shape that clients build on, and its parts add up to the score."""
    version = await rig.activate()
    await rig.give(
        a_profile("who", aliases=()),
        a_touch(1, path="/pricing", at=NOON - timedelta(days=30)),  # 10 / 2 + 1 / 2
        a_touch(2, path="/pricing/teams"),  # 10 + 1
    )

    contact = await rig.get(f"/v1/contacts/{ADA}")

    assert contact["engagement"]["score"] == 16.5  # 15 + 1.5
    nothing = {"suspect": 0, "over": 0, "opted_out": 0}
    assert contact["engagement"]["parts"] == [
        {"value": 15.0, "rule": "pricing-viewed", "group": "intent", "count": 2, "decayed": 1.5, "points": 10.0}
        | {"shown": "15.00", **nothing},
        {"value": 1.5, "rule": "page-viewed", "group": "web", "count": 2, "decayed": 1.5, "points": 1.0}
        | {"shown": "1.50", **nothing},
    ]
    assert contact["fit"]["score"] == 80
    assert [part["rule"] for part in contact["fit"]["parts"]] == ["target-industry", "decision-maker"]
    assert contact["touches"] == 2
    assert contact["stage"] == "deciding"
    assert contact["ready"] is False
    assert contact["missing"] == ["engagement 16.5 of 50", "6 more touches"]
    assert contact["agreement"] == version
    assert contact["account"]["domain"] == "acme.example"
    assert contact["as_of"] == "2026-03-01T12:00:00Z"


async def test_a_demo_request_is_handed_off_at_once(rig: Rig) -> None:
    """Asking for sales skips the threshold, and the message tells what the contact wrote and read."""
    await rig.activate()
    await rig.give(a_touch(1, path="/pricing", title="Pricing", at=NOON - timedelta(minutes=5)))
    await rig.give(
        a_track(
            2,
            "Form Submitted",
            properties={"form": "demo", "message": "Our trucks are late.", "email": "ada@acme.example"},
        )
    )

    (message,) = await rig.messages()

    assert isinstance(message, HandoffReady)
    assert message.reason == "hand_raise"
    assert message.touch_id == a_demo_request(2).id
    assert message.decided_at == NOON
    assert [touch.rules for touch in message.recent] == [("demo-requested",), ("pricing-viewed", "page-viewed")]
    assert [(words.field, words.text) for words in message.words] == [("message", "Our trucks are late.")]
    assert message.respond.within_seconds == 300
    assert "not_a_fit" in message.reject_reasons
    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert contact["ready"] is True
    assert contact["arming"]["state"] == "handed"
    assert contact["arming"]["handoff_id"] == str(message.id)


async def test_a_contact_that_crosses_the_threshold(rig: Rig) -> None:
    """It is handed off once, by the touch that tipped it, whatever comes after."""
    await rig.activate()
    touches = [a_profile("who")]
    # Pricing on three days: 3 x 2 x 10 = 60 within a day's decay, two a day count.
    touches += [a_touch(f"p{n}", path="/pricing", at=NOON - timedelta(days=3 - n // 2)) for n in range(12)]
    for touch in touches:
        await rig.give(touch)

    (handoff,) = await rig.handoffs()

    assert handoff.reason == "threshold"
    assert handoff.engagement.score >= 50
    assert handoff.fit.score == 80
    assert handoff.touches >= 8
    assert handoff.stage == "deciding"
    assert handoff.respond.within_seconds == 4 * 3600
    assert (await rig.get(f"/v1/contacts/{ADA}"))["ready"] is True


@pytest.mark.parametrize("split", [1, 3, 100])
async def test_repeats_in_any_batch(rig: Rig, split: int) -> None:
    """A touch that comes again, in the same record or a later one, changes nothing."""
    await rig.activate()
    touches = [a_profile("who"), *(a_touch(n, path="/blog/a", at=NOON - timedelta(hours=n)) for n in range(12))]
    touches = touches + touches[::-1]
    for first in range(0, len(touches), split):
        await rig.give(*touches[first : first + split])

    contact = await rig.get(f"/v1/contacts/{ADA}")

    assert contact["touches"] == 12
    assert await rig.count(tables.touch) == 13
    assert rig.metrics.touches_counted._value.get() == 13
    assert rig.metrics.touches_repeated._value.get() == 13
