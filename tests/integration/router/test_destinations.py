"""Endpoints of other kinds, over real HTTP: requests one after the other, mappings and templates that fail."""

import json
from uuid import uuid4

from cryptography.fernet import Fernet

from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, answers

KEY = Fernet.generate_key().decode()


async def test_a_system_that_has_to_be_asked_first(start_router: StartRouter, receiver: Receiver) -> None:
    """The steps follow each other within one attempt; one whose last answer was lost goes on where it was."""
    receiver.script(
        answers(200, b'{"success": true, "data": {"items": []}}'),
        answers(201, b'{"success": true, "data": {"id": 42}}'),
        answers(502, b"lost"),
    )
    handoff = make_handoff()
    async with start_router(secret_key=KEY) as router:
        endpoint = {"name": "pipe", "url": f"http://127.0.0.1:{receiver.port}", "kind": "pipedrive", "retries": ["1s"]}
        await router.set_team(endpoints=[{**endpoint, "headers": {"x-api-token": "t0ken"}}])
        await router.hand_over(handoff)
        await receiver.wait_for(3)
        receiver.script(
            answers(200, b'{"success": true, "data": {"items": [{"item": {"id": 42}}]}}'),
            answers(200, json.dumps({"success": True, "data": [{"origin_id": str(handoff.id)}]}).encode()),
        )
        (delivery,) = await router.wait_for_delivery("delivered")
        shown = await router.call("GET", f"/v1/handoffs/{handoff.id}")

    paths = [request.path.split("?")[0] for request in receiver.requests]
    assert paths == [
        *("/api/v2/persons/search", "/api/v2/persons", "/api/v1/leads"),
        *("/api/v2/persons/search", "/api/v1/leads"),
    ]
    assert {request.headers["x-api-token"] for request in receiver.requests} == {"t0ken"}
    assert delivery["attempts"] == 2
    assert [attempt["outcome"] for attempt in shown["deliveries"][0]["log"]] == ["server_error", "delivered"]
    assert "t0ken" not in str(shown)


async def test_a_mapping_to_any_api(router: RunningRouter, receiver: Receiver) -> None:
    """The body is what the mapping makes; the delivery is told apart by a key."""
    mapping = {"person.mail": "contact.email", "score": {"path": "brief.engagement.score", "form": "number"}}
    await router.set_team(endpoints=[{"name": "api", "url": receiver.url, "kind": "generic", "mapping": mapping}])
    await router.hand_over(make_handoff())
    (request,) = await receiver.wait_for(1)

    assert json.loads(request.body) == {"person": {"mail": "ada@acme-freight.example"}, "score": 71.5}
    assert request.headers["idempotency-key"] == request.webhook_id


async def test_a_template_that_fails(router: RunningRouter, receiver: Receiver) -> None:
    """Each attempt says why; no lead is lost: with the template mended, a replay delivers it."""
    endpoint = {"name": "chat", "url": receiver.url, "retries": []}
    await router.set_team(endpoints=[{**endpoint, "template": "{{ brief.no.such.thing }}"}])
    handoff = make_handoff()
    await router.hand_over(handoff)
    (dead,) = await router.wait_for_delivery("dead")
    shown = await router.call("GET", f"/v1/handoffs/{handoff.id}")
    (attempt,) = shown["deliveries"][0]["log"]

    assert attempt["outcome"] == "misconfigured"
    assert "template" in attempt["error"]
    assert shown["state"] == "assigned"
    assert receiver.requests == []

    receiver.script(answers(200))
    await router.set_team(endpoints=[{**endpoint, "template": "Call {{ brief.who.name }}."}])
    await router.call("POST", "/v1/deliveries/replay", json={"ids": [dead["id"], str(uuid4())]})
    (request,) = await receiver.wait_for(1)

    assert request.payload["data"]["brief"]["text"] == "Call Ada Byrne."
    assert request.verify(router.secrets["chat"])


async def test_trying_a_system_that_keeps_records(router: RunningRouter, receiver: Receiver) -> None:
    """It is sent a lead that is none, by the mapping that real ones go by; what it answers is shown."""
    receiver.script(answers(400, b'[{"errorCode": "INVALID_FIELD"}]'))
    mapping = {"Test__c": "test", "Mail": "contact.email"}
    url = f"http://127.0.0.1:{receiver.port}"
    await router.set_team(endpoints=[{"name": "crm", "url": url, "kind": "salesforce", "mapping": mapping}])
    tried = await router.call("POST", "/v1/endpoints/crm/test")

    assert (tried["delivered"], tried["outcome"]) == (False, "refused")
    assert "INVALID_FIELD" in tried["response"]
    assert json.loads(receiver.requests[0].body)["LastName"] == "Test"
    assert json.loads(receiver.requests[0].body)["Mail"] == "tandem-test@example.com"
