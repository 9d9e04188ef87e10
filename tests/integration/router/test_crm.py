"""Webhooks of CRMs on the whole router: taken once, refused with the reason, and always kept."""

from typing import Any
from uuid import uuid4

from cryptography.fernet import Fernet

from shared.events.feedback import FeedbackKind
from tests.integration.router.conftest import StartRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver
from tests.support.waiting import until

KEY = Fernet.generate_key().decode()
SECRET = "what the CRM proves itself with"
PATH = "/v1/hooks/crm/crm"


def deal(handoff: object, status: str, number: int, **data: Any) -> dict[str, Any]:
    """Return a webhook of a CRM."""
    return {"meta": {"id": f"e{number}"}, "data": {"tandem_handoff_id": str(handoff), "status": status, **data}}


async def test_a_deal(start_router: StartRouter, receiver: Receiver) -> None:
    """The deal is won at once and once; what cannot be taken is kept with the reason, and still answered with 200."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        shown = await router.call("PUT", "/v1/endpoints/crm/answers", json={"preset": "pipedrive", "secret": SECRET})
        handoff = make_handoff()
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "assigned")
        won = deal(handoff.id, "won", 1, value=12.5, currency="EUR")
        sent = [
            won,
            won,
            deal(handoff.id, "lost", 2),
            deal(handoff.id, "won", 3),
            deal(uuid4(), "won", 4),
            deal(handoff.id, "paused", 5),
            deal("x", "won", 6),
        ]
        statuses = [(await router.http.post(PATH, params={"key": SECRET}, json=body)).status_code for body in sent]
        statuses.append((await router.http.post(PATH, params={"key": SECRET}, content=b"{")).status_code)
        feedback = await router.wait_for_feedback(4)
        received = (await router.call("GET", "/v1/endpoints/crm/answers/received"))["received"]
        refused = (await router.call("GET", "/v1/endpoints/crm/answers/received?outcome=refused"))["received"]

    assert SECRET not in str(shown)
    assert statuses == [200] * 8
    assert [item.kind for item in feedback] == [
        FeedbackKind.ASSIGNED,
        FeedbackKind.ACCEPTED,
        FeedbackKind.QUALIFIED,
        FeedbackKind.WON,
    ]
    assert (str(feedback[3].amount), feedback[3].currency, feedback[3].by) == ("12.5", "EUR", "crm crm")
    assert [item["outcome"] for item in reversed(received)] == [
        "taken",
        "refused",
        "unchanged",
        "unknown_handoff",
        "unknown_status",
        "unknown_handoff",
        "unreadable",
    ]
    assert "A handoff that is won cannot take the step 'lose'" in refused[0]["message"]


async def test_what_is_not_proven(start_router: StartRouter, receiver: Receiver) -> None:
    """Without the secret nothing is taken or kept; an endpoint that nobody set up is not known yet."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        unknown = await router.http.post(PATH, json={})
        await router.call("PUT", "/v1/endpoints/crm/answers", json={"preset": "pipedrive"}, status=422)
        await router.call("PUT", "/v1/endpoints/other/answers", json={"preset": "pipedrive"}, status=404)
        mapping = {"preset": "pipedrive", "secret": SECRET}
        await router.call("PUT", "/v1/endpoints/crm/answers", role="rep", json=mapping, status=403)
        await router.call("PUT", "/v1/endpoints/crm/answers", json=mapping)
        kept = await router.call("PUT", "/v1/endpoints/crm/answers", json={"preset": "hubspot", "proof": {}})
        wrong = await router.http.post(PATH, headers={"x-webhook-secret": "wrong"}, json=deal(uuid4(), "won", 1))
        basic = await router.http.post(PATH, auth=("tandem", SECRET), json={})
        received = (await router.call("GET", "/v1/endpoints/crm/answers/received"))["received"]
        await router.call("DELETE", "/v1/endpoints/crm/answers")
        await router.call("GET", "/v1/endpoints/crm/answers", status=404)

    assert (unknown.status_code, wrong.status_code, basic.status_code) == (503, 401, 200)
    assert kept["mapping"]["proof"] == {}
    assert len(received) == 1


async def test_an_erased_contact(start_router: StartRouter, receiver: Receiver) -> None:
    """What a CRM sent about somebody who was erased is emptied, as are the objections."""
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        mapping = {"preset": "pipedrive", "secret": SECRET, "objection": "data.objection"}
        await router.call("PUT", "/v1/endpoints/crm/answers", json=mapping)
        handoff = make_handoff()
        await router.hand_over(handoff)
        await router.wait_for_state(handoff.id, "assigned")
        await router.http.post(PATH, params={"key": SECRET}, json=deal(handoff.id, "lost", 1, objection="Ada said no"))
        await router.wait_for_feedback(4)
        await router.erase(handoff.contact.id)

        async def emptied() -> bool:
            received = (await router.call("GET", "/v1/endpoints/crm/answers/received"))["received"]
            return bool(received[0]["body"] == "")

        await until(emptied, what="the body to be emptied")
        history = str((await router.call("GET", f"/v1/handoffs/{handoff.id}"))["history"])

    assert "Ada" not in history
