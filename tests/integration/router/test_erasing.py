"""Erasing a contact in the router: nothing of the person is kept, and whoever had the lead is told."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.full_scan import rows_that_hold
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, answers, hangs, open_receiver
from tests.support.waiting import until

PERSONAL = ("ada@acme-freight.example", "Ada Byrne", "re-keying", "Working with us", "not to be written down")


def erasures(receiver: Receiver) -> list[Any]:
    """Return what a receiver was told about erasures."""
    return [request.payload for request in receiver.requests if request.payload["type"] == "contact.erased"]


async def erased(router: RunningRouter, contact: UUID) -> None:
    """Wait until the contact's handoffs are stripped."""

    async def stripped() -> bool:
        return await rows_that_hold(router.platform.engine, ["router"], ["ada@acme-freight.example"]) == []

    await until(stripped, what=f"{contact} to be stripped")


async def test_an_open_handoff_that_was_delivered(router: RunningRouter, receiver: Receiver) -> None:
    """It is withdrawn and stripped, its endpoint is told once in a signed message, and the numbers remain."""
    receiver.script(answers(200, body=b"stored Ada Byrne"))
    contact = uuid4()
    handoff = make_handoff(contact_id=contact)
    await router.hand_over(handoff)
    await router.wait_for_delivery("delivered")
    await router.call("POST", f"/v1/handoffs/{handoff.id}/accept", json={"note": "not to be written down"})
    erasure = await router.erase(contact)
    await router.erase(contact, erasure_id=erasure)
    await erased(router, contact)
    await router.wait_for_delivery("delivered", count=2)

    (told,) = erasures(receiver)
    assert told["data"]["contact"] == {"id": str(contact), "ids": [str(contact)]}
    assert told["data"]["handoffs"] == [str(handoff.id)]
    receiver.requests[-1].verify(router.secrets["crm"])
    assert await rows_that_hold(router.platform.engine, ["router"], PERSONAL) == []
    shown = await router.call("GET", f"/v1/handoffs/{handoff.id}")
    assert (shown["state"], shown["pool"], shown["rep"]["name"] in {"Rita", "Sven"}) == ("withdrawn", "everyone", True)
    assert (shown["engagement"], shown["contact"]["email"]) == (71.5, "")


async def test_exactly_the_endpoints_that_had_the_lead(start_router: StartRouter, receiver: Receiver) -> None:
    """One that may have had it is told, one that nothing reached is not, and what waits is cancelled."""
    contact = uuid4()
    async with open_receiver() as failing, start_router(delivery_retries="1h") as router:
        failing.script(answers(500))
        await router.set_team(
            endpoints=[
                {"name": "crm", "url": receiver.url},
                {"name": "failing", "url": failing.url},
                {"name": "unreachable", "url": "http://127.0.0.1:1/"},
            ]
        )
        await router.hand_over(make_handoff(contact_id=contact))
        await router.wait_for_delivery("delivered")
        waiting = await router.wait_for_delivery("pending", count=2)
        await until(lambda: _tried(router, waiting), what="both were tried")
        await router.erase(contact)
        await erased(router, contact)
        await router.wait_for_delivery("delivered", count=3)
        deliveries = (await router.call("GET", "/v1/deliveries"))["deliveries"]

        assert (len(erasures(receiver)), len(erasures(failing))) == (1, 1)
        about_nothing = [item for item in deliveries if item["handoff"] is None]
        assert sorted(item["endpoint"] for item in about_nothing) == ["crm", "failing"]
        assert sorted(item["endpoint"] for item in deliveries if item["state"] == "cancelled") == [
            "failing",
            "unreachable",
        ]
        answer = await router.call("POST", "/v1/deliveries/replay", json={"ids": [item["id"] for item in deliveries]})
        assert sorted(answer["replayed"]) == sorted(item["id"] for item in about_nothing)


async def _tried(router: RunningRouter, waiting: list[Any]) -> bool:
    found = (await router.call("GET", "/v1/deliveries?state=pending"))["deliveries"]
    return len(found) == len(waiting) and all(item["attempts"] == 1 for item in found)


async def test_while_the_lead_is_on_its_way(start_router: StartRouter, receiver: Receiver) -> None:
    """The endpoint is told after the attempt under way, and what it answered is not kept."""
    receiver.script(hangs)
    contact, clock = uuid4(), MovableClock()
    async with start_router(delivery_retries="1ms", clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff(contact_id=contact))
        await receiver.wait_for(1)
        await router.erase(contact)
        await erased(router, contact)
        assert erasures(receiver) == []
        receiver.released.set()
        await router.wait_for_delivery("cancelled")
        clock.ahead += timedelta(minutes=1)
        await receiver.wait_for(2)

        assert [request.payload["type"] for request in receiver.requests] == ["lead.sales_ready", "contact.erased"]
        assert await rows_that_hold(router.platform.engine, ["router"], PERSONAL) == []


async def test_a_handoff_that_comes_after_the_erasure(router: RunningRouter, receiver: Receiver) -> None:
    """It is dropped and counted, and so is a replay of it."""
    contact, sentinel = uuid4(), make_handoff()
    await router.erase(contact)
    await until(lambda: _known(router), what="the erasure is known")
    await router.hand_over(make_handoff(contact_id=contact), sentinel)
    (request,) = await receiver.wait_for(1)

    assert request.payload["data"]["handoff"]["id"] == str(sentinel.id)
    metrics = router.platform.metrics.registry
    assert metrics.get_sample_value("tandem_erased_dropped_total", {"service": "router"}) == 1


async def _known(router: RunningRouter) -> bool:
    return bool(await rows_that_hold(router.platform.engine, ["router"], [], tables=["erased"]))


async def test_a_handoff_that_waits_for_a_rep(router: RunningRouter, receiver: Receiver) -> None:
    """It leaves the queue, and nobody is told, for nobody had it."""
    await router.set_team(
        reps=[{"name": "Rita", "email": "rita@harbour.example", "away": True}],
        pools=[{"name": "everyone", "members": ["Rita"]}],
        endpoints=[{"name": "crm", "url": receiver.url}],
    )
    contact = uuid4()
    handoff = make_handoff(contact_id=contact)
    await router.hand_over(handoff)
    await router.wait_for_state(handoff.id, "ready")
    await router.erase(contact)
    await router.wait_for_state(handoff.id, "withdrawn")

    assert await rows_that_hold(router.platform.engine, ["router"], PERSONAL) == []
    assert (await router.call("GET", "/v1/deliveries"))["deliveries"] == []


async def test_what_sales_closes_later(router: RunningRouter) -> None:
    """A deal is won without the lead's name; what a rep notes about it then is not written down."""
    contact = uuid4()
    handoff = make_handoff(contact_id=contact)
    await router.hand_over(handoff)
    await router.wait_for_delivery("delivered")
    for step in ("accept", "qualify"):
        await router.call("POST", f"/v1/handoffs/{handoff.id}/{step}")
    await router.erase(contact)
    await erased(router, contact)
    won = await router.call("POST", f"/v1/handoffs/{handoff.id}/win", json={"note": "not to be written down"})

    assert won["state"] == "won"
    assert await rows_that_hold(router.platform.engine, ["router"], PERSONAL) == []


@pytest.mark.parametrize("worker", ["erasures", "deliveries"])
async def test_killed_in_the_middle(start_router: StartRouter, receiver: Receiver, worker: str) -> None:
    """The next start finishes what was begun: stripped once, told under one id."""
    contact = uuid4()
    async with start_router(delivery_lease="2s", delivery_deadline="1s") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(make_handoff(contact_id=contact))
        await router.wait_for_delivery("delivered")
        await router.erase(contact)
        await router.kill(worker)
    async with start_router() as router:
        await erased(router, contact)

        async def told() -> bool:
            return bool(erasures(receiver))

        await until(told, what="the endpoint is told")
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2
