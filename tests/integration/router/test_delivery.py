"""Deliveries over real sockets: signed, retried, cut off in time, and never lost."""

from tests.integration.router.running import RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver


async def test_a_handoff_reaches_the_receiver(router: RunningRouter, receiver: Receiver) -> None:
    """A handoff is assigned, signed and delivered, and the receiver can verify it."""
    handoff = make_handoff()
    await router.hand_over(handoff, traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    (request,) = await receiver.wait_for(1)

    payload = request.verify(router.secrets["crm"])

    assert payload["type"] == "lead.sales_ready"
    assert payload["data"]["handoff"]["id"] == str(handoff.id)
    assert request.headers["traceparent"] == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    (delivery,) = await router.wait_for_delivery("delivered")
    assert delivery["webhook_id"] == request.webhook_id
