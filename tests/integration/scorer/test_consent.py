"""Opting out and in by API."""

from datetime import timedelta

import pytest

from shared.events.handoff import ContactOptedOut, HandoffReady
from shared.http.keys import Role
from tests.integration.scorer.conftest import Rig
from tests.support.touches import ADA, NOON, a_demo_request, a_profile, a_touch, a_track

MINUTE = timedelta(minutes=1)


async def test_somebody_opts_a_contact_out(rig: Rig) -> None:
    """Scoring stops at once, the router is told, and the history says who said it."""
    await rig.activate()
    await rig.give(a_profile("who"), *(a_touch(n, path="/pricing") for n in range(3)), a_demo_request("please"))
    response = await rig.call("POST", f"/v1/contacts/{ADA}/opt_out", role=Role.SALES)

    assert response.status_code == 200
    assert response.json()["opted_out"] is True
    contact = await rig.get(f"/v1/contacts/{ADA}")
    assert (contact["opted_out"], contact["engagement"]["score"], contact["touches"]) == (True, 0, 4)
    handoff, withdrawal = await rig.messages()
    assert isinstance(handoff, HandoffReady)
    assert isinstance(withdrawal, ContactOptedOut)
    assert withdrawal.at >= handoff.decided_at
    said = [touch for touch in (await rig.get(f"/v1/contacts/{ADA}/touches"))["touches"] if touch["source"] == "tandem"]
    assert [(touch["name"], touch["properties"]["by"]) for touch in said] == [("Opted Out", "sales person")]


@pytest.mark.parametrize("first", ["api", "touch"])
async def test_the_newest_word_wins_in_either_order(rig: Rig, first: str) -> None:
    """An opt-out by API competes by its instant with what the contact said itself, whichever arrives first."""
    await rig.activate()
    await rig.give(a_profile("who", at=NOON - timedelta(days=1)))
    older = a_track("in", "Resubscribed", opted_out=False, at=NOON - MINUTE)
    newer = a_track("again", "Resubscribed", opted_out=False, at=NOON + MINUTE)
    if first == "touch":
        await rig.give(older)
    await rig.call("POST", f"/v1/contacts/{ADA}/opt_out")
    if first == "api":
        await rig.give(older)

    assert (await rig.get(f"/v1/contacts/{ADA}"))["opted_out"] is True
    await rig.give(newer)
    assert (await rig.get(f"/v1/contacts/{ADA}"))["opted_out"] is False


async def test_somebody_opts_a_contact_in(rig: Rig) -> None:
    """It is scored again, and asking for sales hands it off."""
    await rig.activate()
    await rig.give(a_profile("who"), a_track("out", "Email Marked as Spam", opted_out=True))
    rig.now = NOON + MINUTE
    response = await rig.call("POST", f"/v1/contacts/{ADA}/opt_in")
    await rig.give(a_demo_request("please", at=NOON + 2 * MINUTE))

    assert response.json()["opted_out"] is False
    assert [type(message) for message in await rig.messages()] == [ContactOptedOut, HandoffReady]


@pytest.mark.parametrize(("method", "path"), [("POST", "opt_out"), ("POST", "opt_in"), ("DELETE", "")])
async def test_a_contact_that_nobody_knows(rig: Rig, method: str, path: str) -> None:
    """It is a 404, and nothing comes into being."""
    response = await rig.call(method, f"/v1/contacts/{ADA}/{path}".rstrip("/"))

    assert (response.status_code, response.json()["code"]) == (404, "contact_not_found")
    assert (await rig.get("/v1/contacts"))["contacts"] == []


@pytest.mark.parametrize(("method", "path"), [("POST", "/opt_out"), ("POST", "/opt_in"), ("DELETE", "")])
async def test_who_may_not(rig: Rig, method: str, path: str) -> None:
    """A rep's key changes nothing."""
    await rig.give(a_profile("who"))
    response = await rig.call(method, f"/v1/contacts/{ADA}{path}", role=Role.REP)

    assert response.status_code == 403
