"""What marketing is told: to the endpoints that ask for it, once, and not of who wants to be left alone."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.events.nurture import ContactNurture, NurtureKind, encode_nurture
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.log.records import Record
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.support.handoffs import DECIDED_AT, make_handoff, make_opt_out
from tests.support.receiver import Receiver, answers


def make_nurture(contact: UUID | None = None) -> ContactNurture:
    """Return a contact that sales gave back."""
    return ContactNurture(
        id=uuid4(),
        contact_id=contact or uuid4(),
        kind=NurtureKind.RECYCLED,
        at=DECIDED_AT,
        agreement=3,
        stage="active_looking",
        before=None,
        engagement=12.5,
        fit=80.0,
        touches=9,
        aliases=(Alias(kind="email", value="ada@acme.example"),),
        account_domain="acme.example",
        handoff_id=uuid4(),
        reason="bad_timing",
    )


async def tell(router: RunningRouter, *values: bytes) -> None:
    """Append to `nurture`."""
    await router.platform.log.append(TopicName.NURTURE, [Record(value=value, key=b"k") for value in values])


async def set_endpoints(router: RunningRouter, receiver: Receiver) -> None:
    """Have leads go to one endpoint, and what marketing is told to another."""
    marketing = {"name": "marketing", "url": f"{receiver.url}/marketing", "events": ["contact.nurture"]}
    await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}, marketing])


async def test_who_is_told(router: RunningRouter, receiver: Receiver) -> None:
    """The endpoint that asks for it gets it once, however often it is on the log; leads go to the other."""
    await set_endpoints(router, receiver)
    nurture, sentinel = make_nurture(), make_nurture()
    await tell(router, encode_nurture(nurture), b"{}", encode_nurture(nurture))
    await tell(router, encode_nurture(nurture), encode_nurture(sentinel))
    await router.hand_over(make_handoff())
    requests = await receiver.wait_for(3)
    delivered = await router.wait_for_delivery("delivered", count=3)

    told = [request for request in requests if request.payload["type"] == "contact.nurture"]
    assert [request.payload["data"]["contact"]["id"] for request in told] == [
        str(nurture.contact_id),
        str(sentinel.contact_id),
    ]
    assert told[0].payload["data"]["contact"]["email"] == "ada@acme.example"
    assert told[0].payload["data"]["reason"] == "bad_timing"
    assert sorted(delivery["endpoint"] for delivery in delivered) == ["crm", "marketing", "marketing"]
    assert [rejected.reason for rejected in await router.rejected()] == ["malformed"]


@pytest.mark.parametrize("first", ["nurture", "opt-out"])
async def test_an_opt_out(start_router: StartRouter, receiver: Receiver, first: str) -> None:
    """Nothing more is sent of what was decided before, whichever of the two comes first; a replay does not either."""
    receiver.script(answers(500))
    contact, clock = uuid4(), MovableClock()
    nurture, sentinel = make_nurture(contact), make_nurture()
    async with start_router(delivery_retries="1h,1h", clock=clock) as router:
        await set_endpoints(router, receiver)
        if first == "nurture":
            await tell(router, encode_nurture(nurture))
            await receiver.wait_for(1)
        else:
            receiver.script()
        handoff = make_handoff(contact_id=contact)
        await router.hand_over(make_opt_out(contact), handoff)
        await router.wait_for_state(handoff.id, "withdrawn")
        if first == "nurture":
            (cancelled,) = await router.wait_for_delivery("cancelled")
            answer = await router.call("POST", "/v1/deliveries/replay", json={"ids": [cancelled["id"]]})
            assert answer["left"] == [cancelled["id"]]
        else:
            await tell(router, encode_nurture(nurture))
        clock.ahead += timedelta(hours=5)
        await tell(router, encode_nurture(sentinel))
        requests = await receiver.wait_for(2 if first == "nurture" else 1)

    assert requests[-1].payload["data"]["contact"]["id"] == str(sentinel.contact_id)


async def test_an_erasure(router: RunningRouter, receiver: Receiver) -> None:
    """The endpoint that was told is told to forget; nothing is kept, and what comes later is dropped."""
    await set_endpoints(router, receiver)
    nurture, sentinel = make_nurture(), make_nurture()
    await tell(router, encode_nurture(nurture))
    await router.wait_for_delivery("delivered")
    await router.erase(nurture.contact_id)
    _, erased = await receiver.wait_for(2)
    await tell(router, encode_nurture(make_nurture(nurture.contact_id)), encode_nurture(sentinel))
    requests = await receiver.wait_for(3)

    assert erased.payload["type"] == "contact.erased"
    assert requests[2].payload["data"]["contact"]["id"] == str(sentinel.contact_id)


async def test_nobody_asks(router: RunningRouter, receiver: Receiver) -> None:
    """Without such an endpoint the messages are passed over."""
    await tell(router, encode_nurture(make_nurture()))
    handoff = make_handoff()
    await router.hand_over(handoff)
    (request,) = await receiver.wait_for(1)

    assert request.payload["type"] == "lead.sales_ready"
