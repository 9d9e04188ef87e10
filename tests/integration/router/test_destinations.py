"""Endpoints of other kinds, over real HTTP: requests one after the other, mappings and templates that fail."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

from cryptography.fernet import Fernet
from sqlalchemy import text

from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import RunningRouter
from tests.support.handoffs import make_handoff
from tests.support.receiver import Receiver, answers, closes
from tests.support.waiting import until

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
        receiver.script(answers(200, json.dumps({"success": True, "data": [{"origin_id": str(handoff.id)}]}).encode()))
        (delivery,) = await router.wait_for_delivery("delivered")
        shown = await router.call("GET", f"/v1/handoffs/{handoff.id}")

    paths = [request.path.split("?")[0] for request in receiver.requests]
    # A search may not know the person yet; the lead is looked for among theirs.
    assert paths == ["/api/v2/persons/search", "/api/v2/persons", "/api/v1/leads", "/api/v1/leads"]
    assert receiver.requests[3].path == "/api/v1/leads?person_id=42&limit=50"
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


NOBODY = answers(200, b'{"data": []}')
MADE = answers(200, b'{"id": "lead_1"}')


async def known(router: RunningRouter) -> list[tuple[str, str]]:
    """Return what the ledger holds."""
    async with router.platform.engine.connect() as connection:
        rows = await connection.execute(text("SELECT name, remote_id FROM router.known_record ORDER BY name"))
        return [(row.name, row.remote_id) for row in rows]


async def test_a_record_that_is_known(start_router: StartRouter, receiver: Receiver) -> None:
    """What an answer told is used for all that comes later about the contact, and survives a process that dies."""
    first = make_handoff()
    later = make_handoff(contact_id=first.contact.id)
    url = f"http://127.0.0.1:{receiver.port}"
    async with start_router() as router:
        await router.set_team(endpoints=[{"name": "close", "url": url, "kind": "close"}])
        receiver.script(NOBODY, MADE)
        await router.hand_over(first)
        await router.wait_for_delivery("delivered")
        await router.kill("deliveries")
    async with start_router() as router:
        await router.hand_over(later)
        await router.wait_for_delivery("delivered", count=2)
        kept = await known(router)
        receiver.script(answers(404), answers(200, b'{"data": [{"id": "lead_2"}]}'), answers(200))
        await router.hand_over(make_handoff(contact_id=first.contact.id))
        await router.wait_for_delivery("delivered", count=3)
        afterwards = await known(router)

    paths = [request.path.split("?")[0] for request in receiver.requests]
    assert paths[:3] == ["/api/v1/lead/", "/api/v1/lead/", "/api/v1/lead/lead_1/"]
    # Merged or deleted there meanwhile: it is looked for again.
    assert paths[3:] == ["/api/v1/lead/lead_1/", "/api/v1/lead/", "/api/v1/lead/lead_2/"]
    assert (kept, afterwards) == ([("lead", "lead_1")], [("lead", "lead_2")])


def steps(receiver: Receiver) -> list[str]:
    """Return the methods that were used."""
    return [request.method for request in receiver.requests]


async def test_a_record_that_the_search_does_not_know_yet(start_router: StartRouter, receiver: Receiver) -> None:
    """After an answer that was lost it is looked for again and again, and not made, until the search must know it."""
    endpoint = {"name": "close", "url": f"http://127.0.0.1:{receiver.port}", "kind": "close", "retries": ["1s"]}

    async def nobody_after_three_minutes(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
        router.clock.ahead = timedelta(minutes=3)
        return await NOBODY(receiver, writer)

    async with start_router() as router:
        await router.set_team(endpoints=[endpoint])
        receiver.script(NOBODY, answers(502, b"made, and not told"), NOBODY, NOBODY)
        receiver.script(answers(200, b'{"data": [{"id": "lead_1"}]}'), answers(200))
        handoff = make_handoff()
        await router.hand_over(handoff)
        await router.wait_for_delivery("delivered")
        shown = await router.call("GET", f"/v1/handoffs/{handoff.id}")

        assert steps(receiver) == ["GET", "POST", "GET", "GET", "GET", "PUT"]
        log = shown["deliveries"][0]["log"]
        assert [attempt["outcome"] for attempt in log] == ["server_error", "unsettled", "unsettled", "delivered"]
        assert "may have made the lead" in log[1]["error"]

        # Nothing was made by that attempt, as a search sent long afterwards says: then it is. The search that was
        # sent too early and answered late does not count.
        receiver.requests.clear()
        receiver.script(NOBODY, closes, nobody_after_three_minutes, NOBODY, MADE)
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("delivered", count=2)

    assert steps(receiver) == ["GET", "POST", "GET", "GET", "POST"]


async def test_a_record_that_was_refused(start_router: StartRouter, receiver: Receiver) -> None:
    """Where it is sure that nothing was made, the next attempt makes it."""
    endpoint = {"name": "close", "url": f"http://127.0.0.1:{receiver.port}", "kind": "close", "retries": ["1s"]}
    async with start_router() as router:
        await router.set_team(endpoints=[endpoint])
        receiver.script(NOBODY, answers(400, b"no such status"), NOBODY, MADE)
        await router.hand_over(make_handoff())
        await router.wait_for_delivery("delivered")

    assert steps(receiver) == ["GET", "POST", "GET", "POST"]


async def test_two_messages_about_one_contact_at_once(start_router: StartRouter, receiver: Receiver) -> None:
    """One makes the record, and the other changes it."""
    first = make_handoff()
    later = make_handoff(contact_id=first.contact.id)
    endpoint = {"name": "close", "url": f"http://127.0.0.1:{receiver.port}", "kind": "close", "retries": ["1s"]}
    other_looked = asyncio.Event()

    async def made_meanwhile(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
        await other_looked.wait()
        return await MADE(receiver, writer)

    async with start_router() as router:
        await router.set_team(endpoints=[endpoint])
        receiver.script(NOBODY, made_meanwhile, NOBODY)
        await router.hand_over(first)
        await receiver.wait_for(2)
        await router.hand_over(later)
        await receiver.wait_for(3)
        other_looked.set()
        await router.wait_for_delivery("delivered", count=2)

    assert sorted(steps(receiver)) == ["GET", "GET", "POST", "PUT"]
    assert receiver.requests[-1].path == "/api/v1/lead/lead_1/"


async def test_a_record_of_another_account(start_router: StartRouter, receiver: Receiver) -> None:
    """With another key or address the same id may be somebody else: nothing is known there."""
    first = make_handoff()
    endpoint = {"name": "close", "url": f"http://127.0.0.1:{receiver.port}", "kind": "close"}
    async with start_router(secret_key=KEY) as router:
        await router.set_team(endpoints=[{**endpoint, "headers": {"authorization": "Bearer one"}}])
        receiver.script(NOBODY, MADE)
        await router.hand_over(first)
        await router.wait_for_delivery("delivered")
        await router.set_team(endpoints=[{**endpoint, "headers": {"authorization": "Bearer two"}}])
        receiver.script(NOBODY, MADE)
        await router.hand_over(make_handoff(contact_id=first.contact.id))
        await router.wait_for_delivery("delivered", count=2)

    assert [request.path.split("?")[0] for request in receiver.requests] == ["/api/v1/lead/"] * 4


async def test_a_record_of_somebody_who_is_erased(start_router: StartRouter, receiver: Receiver) -> None:
    """Its id is forgotten, and what an attempt under way learns of it afterwards is not kept."""
    done, sending = make_handoff(), make_handoff()
    endpoint = {"name": "close", "url": f"http://127.0.0.1:{receiver.port}", "kind": "close", "retries": []}
    async with start_router() as router:
        await router.set_team(endpoints=[endpoint])
        receiver.script(NOBODY, MADE)
        await router.hand_over(done)
        await router.wait_for_delivery("delivered")
        erased = asyncio.Event()

        async def made_late(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
            await erased.wait()
            return await MADE(receiver, writer)

        receiver.script(NOBODY, made_late)
        await router.hand_over(sending)
        await receiver.wait_for(4)
        before = await known(router)
        await router.erase(done.contact.id)
        await router.erase(sending.contact.id)
        await router.wait_for_state(done.id, "withdrawn")
        await router.wait_for_state(sending.id, "withdrawn")
        erased.set()

        async def ended() -> bool:
            shown = await router.call("GET", f"/v1/handoffs/{sending.id}")
            return any(item["attempts"] for item in shown["deliveries"])

        await until(ended, what="the attempt that was under way to end")
        afterwards = await known(router)

    assert (before, afterwards) == ([("lead", "lead_1"), ("lead", "")], [])
