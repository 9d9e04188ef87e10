"""Touches that a machine may have made: they count nothing, are shown, and count when somebody says so."""

import random
from datetime import timedelta
from typing import Any

import pytest

from services.scorer.store import tables
from shared.events.touch import Alias, Touch
from shared.http.keys import Role
from tests.integration.scorer.conftest import Rig
from tests.support.reference_model import final
from tests.support.touches import ADA, BEN, NOON, a_demo_request, a_profile, a_touch, a_track, agreement

SECOND = timedelta(seconds=1)
MAIL = {"email_id": "m"}


def delivered(seconds: float = 0) -> Touch:
    """Return a delivery."""
    return a_track(f"d{seconds}", "Email Delivered", at=NOON + seconds * SECOND, properties=MAIL)


def clicked(seconds: float, link: str = "x", **fields: Any) -> Touch:
    """Return a click."""
    properties = {**MAIL, "link_url": link}
    return a_track(f"c{seconds}", "Email Link Clicked", at=NOON + seconds * SECOND, properties=properties, **fields)


async def shown(rig: Rig, touch: Touch) -> Any:
    """Return what the list of touches tells about the touch."""
    touches = (await rig.get(f"/v1/contacts/{ADA}/touches"))["touches"]
    return next(listed["suspect"] for listed in touches if listed["id"] == str(touch.id))


async def clicks(rig: Rig) -> Any:
    """Return the part of the engagement that clicks are."""
    parts = (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["parts"]
    return next(part for part in parts if part["rule"] == "email-clicked")


async def judge(rig: Rig, touch: Touch, word: str, *, role: Role = Role.MARKETING) -> Any:
    """Overrule the verdict on the touch."""
    response = await rig.call("POST", f"/v1/contacts/{ADA}/touches/{touch.id}/{word}", role=role)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("late", [False, True])
async def test_a_click_as_the_mail_arrives(rig: Rig, *, late: bool) -> None:
    """It counts nothing, and no more when the delivery is heard of later, in the same record or in another."""
    await rig.activate()
    click = clicked(2)
    for record in ([click, delivered()],) if not late else ([click], [delivered()]):
        await rig.give(*record)

    part = await clicks(rig)
    assert (part["value"], part["count"], part["suspect"]) == (0, 0, 1)
    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert contact["engagement"]["score"] == 0
    assert contact["touches"] == 0  # a delivery is done to the contact
    assert await shown(rig, click) == {
        "reason": "clicked_at_delivery",
        "counts": False,
        "overruled": False,
        "by": None,
        "at": None,
    }


async def test_what_a_suspect_touch_still_tells(rig: Rig) -> None:
    """Who the contact is, and whether it wants to be contacted."""
    await rig.activate()
    named = (Alias("email", "ada@acme.example"),)

    await rig.give(
        a_demo_request("bot", opted_out=True, aliases=named, traits={"title": "VP"}, suspect="bot_user_agent")
    )

    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert (contact["touches"], contact["opted_out"], contact["first_touch_at"]) == (0, True, None)
    assert contact["traits"]["title"] == "VP"
    assert contact["aliases"] == [{"kind": "email", "value": "ada@acme.example"}]


async def test_a_suspect_hand_raise(rig: Rig) -> None:
    """Nobody is called about what a machine sent; when a person trusts it, its points may make a lead."""
    await rig.activate()
    asked = a_demo_request("please", suspect="bot_user_agent")
    await rig.give(a_profile("who"), *(a_touch(n, path="/pricing") for n in range(8)), asked)
    assert await rig.handoffs() == []

    await judge(rig, asked, "trust", role=Role.SALES)
    await judge(rig, asked, "trust")

    (handoff,) = await rig.handoffs()
    assert handoff.reason == "threshold"
    assert handoff.engagement.score == sum(part.value for part in handoff.engagement.parts)
    assert await shown(rig, asked) == {
        "reason": "bot_user_agent",
        "counts": True,
        "overruled": True,
        "by": "sales person",
        "at": NOON.isoformat().replace("+00:00", "Z"),
    }


async def test_a_touch_that_is_distrusted(rig: Rig) -> None:
    """It counts nothing until it is trusted again."""
    await rig.activate()
    view = a_touch(1, path="/pricing")
    await rig.give(view)

    answer = await judge(rig, view, "distrust")
    assert (answer["suspect"]["reason"], answer["suspect"]["counts"]) == ("distrusted", False)
    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == 0
    await judge(rig, view, "trust")

    assert (await rig.get(f"/v1/contacts/{ADA}"))["engagement"]["score"] == 11
    assert (await shown(rig, view))["reason"] is None


async def test_a_trusted_click_whose_delivery_comes_later(rig: Rig) -> None:
    """What a person said stands."""
    await rig.activate()
    click = clicked(1)
    await rig.give(click)
    await judge(rig, click, "trust")

    await rig.give(delivered())

    assert (await clicks(rig))["count"] == 1
    assert (await shown(rig, click))["reason"] == "clicked_at_delivery"


async def test_who_may_overrule(rig: Rig) -> None:
    """Marketing, sales and admins; a touch that is not there is not found."""
    await rig.give(a_touch(1))
    path = f"/v1/contacts/{ADA}/touches/{a_touch(1).id}/trust"
    for role in (Role.REP, Role.SOURCE):
        assert (await rig.call("POST", path, role=role)).status_code == 403
    assert (await rig.call("POST", path, role=None)).status_code == 401
    assert (await rig.call("POST", path, role=Role.ADMIN)).status_code == 200
    for missing in (f"{ADA}/touches/{BEN}", f"{BEN}/touches/{a_touch(1).id}"):
        assert (await rig.call("POST", f"/v1/contacts/{missing}/trust")).status_code == 404


async def test_a_new_agreement_after_verdicts(rig: Rig) -> None:
    """Counting the history again leaves out what does not count."""
    await rig.activate()
    await rig.give(delivered(), clicked(1), clicked(60), a_touch(1, path="/pricing"))

    text = (await rig.get("/v1/agreements/active"))["text"]
    await rig.activate(text.replace("half_life: 30d", "half_life: 60d"))
    assert await rig.sweep() == 1

    part = await clicks(rig)
    assert (part["count"], part["suspect"]) == (1, 1)


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_mails(rig: Rig, seed: int) -> None:
    """Orders, repeats and batch splits of deliveries and clicks end in the verdicts and the score of plain code."""
    await rig.activate()
    dice = random.Random(seed)
    touches = [a_touch("page", path="/pricing", at=NOON - 60 * SECOND)]
    for number in range(30):
        at = NOON - dice.randrange(200) * SECOND / 10
        properties = {"email_id": dice.choice("mn"), "link_url": dice.choice("xyz")}
        name = dice.choice(["Email Delivered", "Email Link Clicked", "Email Link Clicked"])
        touches.append(a_track(number, name, at=at, received_at=NOON, properties=properties))
    arrived = touches + dice.sample(touches, 10)
    dice.shuffle(arrived)
    while arrived:
        size = dice.choice([1, 2, 9])
        await rig.give(*arrived[:size])
        arrived = arrived[size:]

    expected = final(touches, agreement(), as_of=NOON)
    contact = await rig.get(f"/v1/contacts/{ADA}")
    listed = (await rig.get(f"/v1/contacts/{ADA}/touches", limit=200))["touches"]
    found = {touch["id"]: touch["suspect"]["reason"] for touch in listed if touch["suspect"]}
    assert found == {str(touch): reason for touch, reason in expected.suspect.items()}
    assert contact["engagement"]["score"] == pytest.approx(expected.score, rel=1e-9)
    assert contact["touches"] == expected.touches
    part = await clicks(rig)
    assert part["suspect"] == len(expected.suspect)
    assert await rig.count(tables.touch) == len(touches)
