"""Who wants to be left alone: nothing more is delivered, whichever message came first."""

from datetime import timedelta
from uuid import uuid4

from services.router.store.claims import ClaimStore
from services.router.store.leases import LeaseStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.handoffs import DECIDED_AT, make_handoff, make_opt_out
from tests.support.receiver import Receiver, answers, hangs


async def test_an_opt_out_after_the_handoff(start_router: StartRouter, receiver: Receiver) -> None:
    """A retry that waits is cancelled, the handoff is withdrawn, and a replay does not bring it back."""
    receiver.script(answers(500))
    contact, clock = uuid4(), MovableClock()
    handoff, sentinel = make_handoff(contact_id=contact), make_handoff()
    async with start_router(delivery_retries="1h,1h", clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(handoff)
        await receiver.wait_for(1)
        await router.hand_over(make_opt_out(contact))
        await router.wait_for_state(handoff.id, "withdrawn")
        (cancelled,) = await router.wait_for_delivery("cancelled")
        answer = await router.call("POST", "/v1/deliveries/replay", json={"ids": [cancelled["id"]]})
        clock.ahead += timedelta(hours=5)
        await router.hand_over(sentinel)
        requests = await receiver.wait_for(2)

    assert answer["left"] == [cancelled["id"]]
    assert [request.payload["data"]["handoff"]["id"] for request in requests] == [str(handoff.id), str(sentinel.id)]


async def test_an_opt_out_before_the_handoff(router: RunningRouter, receiver: Receiver) -> None:
    """A handoff that was decided before its contact opted out is withdrawn when it comes; a later one is not."""
    contact = uuid4()
    before = make_handoff(contact_id=contact)
    after = make_handoff(contact_id=contact, decided_at=DECIDED_AT + timedelta(days=30))
    await router.hand_over(make_opt_out(contact))
    await router.hand_over(before)
    await router.wait_for_state(before.id, "withdrawn")
    await router.hand_over(after)
    (request,) = await receiver.wait_for(1)

    assert request.payload["data"]["handoff"]["id"] == str(after.id)


async def test_an_older_opt_out(router: RunningRouter, receiver: Receiver) -> None:
    """The newest word counts: an older one that comes late takes nothing back."""
    contact = uuid4()
    await router.hand_over(
        make_opt_out(contact, at=DECIDED_AT + timedelta(days=2)), make_opt_out(contact, at=DECIDED_AT)
    )
    handoff = make_handoff(contact_id=contact, decided_at=DECIDED_AT + timedelta(days=1))
    await router.hand_over(handoff)

    await router.wait_for_state(handoff.id, "withdrawn")


async def test_both_in_one_fetch(start_router: StartRouter, receiver: Receiver) -> None:
    """Handoff and opt-out that are read together never lead to a delivery."""
    contact = uuid4()
    handoff, sentinel = (
        make_handoff(contact_id=contact),
        make_handoff(contact_id=contact, decided_at=DECIDED_AT.replace(year=2027)),
    )
    async with start_router(workers=["queue", "deliveries", "outbox"]) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(handoff, make_opt_out(contact), sentinel)
        async with start_router(workers=["handoffs"]):
            (request,) = await receiver.wait_for(1)

            assert request.payload["data"]["handoff"]["id"] == str(sentinel.id)
            assert await router.state(handoff.id) == "withdrawn"


async def test_while_an_attempt_is_under_way(start_router: StartRouter, receiver: Receiver) -> None:
    """An attempt that was under way is the last, whatever it comes to."""
    receiver.script(hangs)
    contact = uuid4()
    handoff = make_handoff(contact_id=contact)
    async with start_router(delivery_retries="1ms") as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await router.hand_over(handoff)
        await receiver.wait_for(1)
        await router.hand_over(make_opt_out(contact))
        await router.wait_for_state(handoff.id, "withdrawn")
        receiver.released.set()
        (cancelled,) = await router.wait_for_delivery("cancelled")

    assert cancelled["attempts"] == 1
    assert len(receiver.requests) == 1


async def test_what_sales_has_taken_over(router: RunningRouter) -> None:
    """An opt-out from marketing does not take a conversation away from sales."""
    contact = uuid4()
    talking, waiting = make_handoff(contact_id=contact), make_handoff(contact_id=contact)
    await router.hand_over(talking, waiting)
    await router.wait_for_delivery("delivered", count=2)
    await router.call("POST", f"/v1/handoffs/{talking.id}/accept")
    await router.call("POST", f"/v1/handoffs/{talking.id}/qualify")
    await router.hand_over(make_opt_out(contact))
    await router.wait_for_state(waiting.id, "withdrawn")
    delivered = await router.wait_for_delivery("delivered", count=2)
    answer = await router.call("POST", "/v1/deliveries/replay", json={"ids": [item["id"] for item in delivered]})

    assert await router.state(talking.id) == "qualified"
    assert answer["replayed"] == []


async def test_what_was_claimed_and_given_back(start_router: StartRouter, receiver: Receiver) -> None:
    """A delivery that its process gives back without having sent it stays cancelled."""
    contact = uuid4()
    async with start_router(workers=["handoffs", "queue"]) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        handoff = make_handoff(contact_id=contact)
        await router.hand_over(handoff)
        await router.wait_for_delivery("pending")
        store, now = ClaimStore(router.platform.engine), router.clock()
        claims = await store.claim(
            rooms={}, each=1, total=1, lease_id=uuid4(), lease_until=now + timedelta(minutes=1), now=now
        )
        await router.hand_over(make_opt_out(contact))
        await router.wait_for_state(handoff.id, "withdrawn")
        await LeaseStore(router.platform.engine).release(claims.deliveries)

        (cancelled,) = await router.wait_for_delivery("cancelled")
        assert cancelled["attempts"] == 0
