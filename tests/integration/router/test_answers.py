"""Answers of reps: each step once, told to the world, and refused where the table says so."""

from uuid import uuid4

import pytest
from msgspec import structs

from shared.events.feedback import FeedbackKind
from tests.integration.router.running import RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver


async def assigned(router: RunningRouter) -> str:
    """Hand over a lead and return its id when it is assigned."""
    handoff = make_handoff()
    await router.hand_over(handoff)
    await router.wait_for_state(handoff.id, "assigned")
    return str(handoff.id)


async def test_the_way_to_a_deal(router: RunningRouter) -> None:
    """Accepted, qualified, won: each answer moves the handoff and is published."""
    handoff = await assigned(router)
    states = [
        (await router.call("POST", f"/v1/handoffs/{handoff}/{step}", role="rep", json={"note": step}))["state"]
        for step in ("accept", "qualify", "win")
    ]
    feedback = await router.wait_for_feedback(4)
    history = (await router.call("GET", f"/v1/handoffs/{handoff}"))["history"]

    assert states == ["accepted", "qualified", "won"]
    assert [item.kind for item in feedback] == [
        FeedbackKind.ASSIGNED,
        FeedbackKind.ACCEPTED,
        FeedbackKind.QUALIFIED,
        FeedbackKind.WON,
    ]
    assert feedback[1].note == "accept"
    assert [(step["step"], step["by"]) for step in history[2:]] == [
        ("accept", "rep"),
        ("qualify", "rep"),
        ("win", "rep"),
    ]


async def test_a_rejection(router: RunningRouter) -> None:
    """A rejected handoff goes back to marketing at once, with the reason."""
    handoff = await assigned(router)
    answer = await router.call(
        "POST", f"/v1/handoffs/{handoff}/reject", role="rep", json={"reason": "no_budget", "note": "next year\0"}
    )
    feedback = await router.wait_for_feedback(3)

    assert (answer["state"], answer["rejected_because"]) == ("recycled", "no_budget")
    assert [(item.kind, item.reason) for item in feedback[1:]] == [
        (FeedbackKind.REJECTED, "no_budget"),
        (FeedbackKind.RECYCLED, "no_budget"),
    ]
    assert feedback[1].note == "next year"


async def test_the_same_answer_again(router: RunningRouter) -> None:
    """Repeating an answer changes nothing and says the same."""
    handoff = await assigned(router)
    first = await router.call("POST", f"/v1/handoffs/{handoff}/accept", role="rep")
    again = await router.call("POST", f"/v1/handoffs/{handoff}/accept", role="rep")
    await router.call("POST", f"/v1/handoffs/{handoff}/reject", json={"reason": "other"})
    await router.call("POST", f"/v1/handoffs/{handoff}/reject", json={"reason": "other"})
    problem = await router.call("POST", f"/v1/handoffs/{handoff}/reject", json={"reason": "no_budget"}, status=409)
    feedback = await router.wait_for_feedback(4)

    assert first == again
    assert problem["reason"] == "other"
    assert len(feedback) == 4


@pytest.mark.parametrize("step", ["qualify", "win", "lose"])
async def test_a_step_too_early(router: RunningRouter, step: str) -> None:
    """An illegal step is refused, names what is allowed, and changes nothing."""
    handoff = await assigned(router)
    problem = await router.call("POST", f"/v1/handoffs/{handoff}/{step}", status=409)

    assert problem["code"] == "illegal_step"
    assert problem["state"] == "assigned"
    assert "accept" in problem["allowed"]
    assert await router.state(make_handoff().id) is None
    assert (await router.call("GET", f"/v1/handoffs/{handoff}"))["state"] == "assigned"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"reason": "because"}', 422),
        (b'{"reason": ""}', 422),
        (b"{}", 422),
        (b"", 422),
        (b"[]", 422),
        (b"{", 422),
        (b"[" * 5000, 422),
        (b'{"reason": "other", "not": "x"}', 422),
        (b'{"reason": "other", "note": 5}', 422),
        (b'{"reason": "other", "note": "\\ud800"}', 422),
        (b'{"reason": "other", "note": "\xff"}', 422),
        (b'{"reason": "other", "note": "' + b"x" * 5001 + b'"}', 422),
        (b"x" * 70_000, 413),
    ],
)
async def test_a_body_that_is_wrong(router: RunningRouter, body: bytes, status: int) -> None:
    """Whatever is sent, the answer says what is wrong and the handoff stays as it is."""
    handoff = await assigned(router)
    problem = await router.call("POST", f"/v1/handoffs/{handoff}/reject", content=body, status=status)

    assert problem["message"]
    assert (await router.call("GET", f"/v1/handoffs/{handoff}"))["state"] == "assigned"


async def test_a_handoff_that_nobody_knows(router: RunningRouter) -> None:
    """An unknown id is a 404, whatever is asked."""
    for method, path in (("GET", ""), ("GET", "/decision"), ("POST", "/accept")):
        await router.call(method, f"/v1/handoffs/{uuid4()}{path}", status=404)
    await router.call("GET", "/v1/handoffs/not-an-id", status=422)
    await router.call("GET", "/v1/handoffs?cursor=eA==", status=422)
    await router.call("GET", "/v1/handoffs?limit=0", status=422)
    await router.call("GET", "/v1/deliveries?state=unknown", status=422)
    await router.call("POST", "/v1/deliveries/replay", json={"ids": []}, status=422)


async def test_what_the_company_held_against_it_before(router: RunningRouter, receiver: Receiver) -> None:
    """The next brief about anybody of the account tells it, in the message as in the API; other accounts' do not."""
    first = await assigned(router)
    await router.call("POST", f"/v1/handoffs/{first}/objection", role="rep", json={"objection": "No time before May"})
    await router.call("POST", f"/v1/handoffs/{first}/accept", role="rep")
    second = await assigned(router)
    elsewhere = make_handoff()
    contact = structs.replace(elsewhere.contact, account_id=uuid4())
    await router.hand_over(structs.replace(elsewhere, contact=contact))
    await router.wait_for_state(elsewhere.id, "assigned")

    shown = await router.call("GET", f"/v1/handoffs/{second}")
    other = await router.call("GET", f"/v1/handoffs/{elsewhere.id}")

    (objection,) = shown["brief"]["objections"]
    assert objection["objection"] == "No time before May"
    assert "No time before May" in shown["brief"]["text"]
    assert other["brief"]["objections"] == []
    await router.wait_for_delivery("delivered", count=3)
    sent = [request.payload["data"] for request in receiver.requests]
    heard = {data["handoff"]["id"]: data["brief"]["objections"] for data in sent}
    assert heard == {first: [], second: [objection], str(elsewhere.id): []}
