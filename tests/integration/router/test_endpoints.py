"""Endpoints: secrets that are replaced, what is off, what is limited, and what is told of it."""

import asyncio
import base64
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
import svix.webhooks
from cryptography.fernet import Fernet
from sqlalchemy import text
from standardwebhooks import WebhookVerificationError

from services.router.store.claims import ClaimStore
from tests.integration.router.conftest import StartRouter
from tests.integration.router.running import MovableClock, RunningRouter
from tests.integration.router.test_delivery import attempts_of, claim, wait_for_attempts
from tests.support.handoffs import NO_HURRY, make_handoff
from tests.support.receiver import Receiver, answers, hangs, open_receiver, redirects
from tests.support.waiting import until
from tests.unit.router.test_signing import verify_v1a

KEY = Fernet.generate_key().decode()


async def endpoint_row(router: RunningRouter, name: str = "crm") -> Any:
    async with router.platform.engine.connect() as connection:
        statement = text("SELECT * FROM router.endpoint WHERE name = :name")
        return (await connection.execute(statement, {"name": name})).one()


async def delivered_one(router: RunningRouter, receiver: Receiver) -> Any:
    """Hand one over and return what the receiver got."""
    before = len(receiver.requests)
    await router.hand_over(make_handoff(respond=NO_HURRY))
    return (await receiver.wait_for(before + 1))[-1]


async def test_a_secret_is_replaced(start_router: StartRouter, receiver: Receiver) -> None:
    """Until the overlap ends both secrets sign, then only the new one."""
    clock = MovableClock()
    async with start_router(secret_key=KEY, clock=clock) as router:
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        old = router.secrets["crm"]
        rotated = await router.call("POST", "/v1/endpoints/crm/rotate-secret", json={"overlap": "1h"})
        during = await delivered_one(router, receiver)
        clock.ahead = timedelta(hours=1, seconds=40)
        after = await delivered_one(router, receiver)

    assert during.verify(old) == during.verify(rotated["secret"])
    svix.webhooks.Webhook(old).verify(during.body, during.headers)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1
    with pytest.raises(WebhookVerificationError):
        after.verify(old)


async def test_too_many_old_secrets(router: RunningRouter) -> None:
    """So many old secrets may sign and no more; without an overlap all of them end."""
    path = "/v1/endpoints/crm/rotate-secret"
    for _ in range(4):
        await router.call("POST", path)
    refused = await router.call("POST", path, status=409)
    ended = await router.call("POST", path, json={"overlap": "0"})
    await router.call("POST", path, json={"overlap": "8d"}, status=422)
    await router.call("POST", path, json={"secret": "hunter2"}, status=409)
    await router.call("POST", "/v1/endpoints/nobody/rotate-secret", status=404)

    assert refused["code"] == "endpoint_refuses"
    assert ended["old_signatures_until"] == []


async def test_a_public_key(start_router: StartRouter, receiver: Receiver) -> None:
    """An endpoint may be signed for with ed25519: its public key is shown, its secret never."""
    async with start_router(secret_key=KEY) as router:
        answer = await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "signature": "v1a"}])
        request = await delivered_one(router, receiver)
        row = await endpoint_row(router)

    (shown,) = answer["endpoints"]
    verify_v1a(
        shown["public_key"],
        request.headers["webhook-signature"],
        message_id=request.webhook_id,
        at=int(request.headers["webhook-timestamp"]),
        body=request.body,
    )
    assert "secret" not in shown
    assert "whsk_" not in row.secret


async def test_secrets_in_the_database(start_router: StartRouter, receiver: Receiver) -> None:
    """With a key nothing secret is readable; what was stored before there was one is encrypted when written next."""
    endpoint = {"name": "crm", "url": receiver.url}
    async with start_router() as router:
        await router.set_team(endpoints=[endpoint])
        plain, secret = (await endpoint_row(router)).secret, router.secrets["crm"]
        refused = await router.http.put(
            "/v1/team",
            json={"reps": [], "pools": [], "endpoints": [{**endpoint, "headers": {"X-Key": "s3cret"}}]},
            headers={"Authorization": "Bearer admin-key-for-tests"},
        )
    async with start_router(secret_key=KEY) as router:
        before = await delivered_one(router, receiver)
        await router.set_team(endpoints=[{**endpoint, "headers": {"X-Key": "s3cret"}}])
        after = await delivered_one(router, receiver)
        await router.set_team(endpoints=[{**endpoint, "headers": {"X-Key": None}}])
        kept = await delivered_one(router, receiver)
        row = await endpoint_row(router)
        (delivery, *_) = await router.wait_for_delivery("delivered", count=3)
        (attempt,) = await attempts_of(router, delivery["id"])
        shown = await router.call("GET", "/v1/endpoints/crm")

    assert plain == secret
    assert refused.status_code == 422
    assert before.verify(secret)
    assert after.verify(secret)
    assert [item.headers.get("x-key") for item in (before, after, kept)] == [None, "s3cret", "s3cret"]
    assert secret not in str(row)
    assert "s3cret" not in str([row, attempt, shown])
    assert "'X-Key': '•••'" in str(attempt["request_headers"])


async def test_a_disabled_endpoint(router: RunningRouter, receiver: Receiver) -> None:
    """What is for it waits, also when the team is set again, and goes out when it is enabled."""
    await router.call("POST", "/v1/endpoints/crm/disable")
    await router.hand_over(make_handoff())
    await router.wait_for_delivery("pending")
    again = await router.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
    parked = len(receiver.requests)
    enabled = await router.call("POST", "/v1/endpoints/crm/enable")
    await router.wait_for_delivery("delivered")

    assert (again["endpoints"][0]["status"], enabled["status"]) == ("disabled", "open")
    assert parked == 0


async def test_trying_an_endpoint(router: RunningRouter, receiver: Receiver) -> None:
    """A try says what came of it, and leaves nothing behind."""
    receiver.script(answers(200), answers(401, b"who are you"))
    good = await router.call("POST", "/v1/endpoints/crm/test")
    bad = await router.call("POST", "/v1/endpoints/crm/test")

    assert (good["delivered"], good["status"]) == (True, 200)
    assert (bad["delivered"], bad["outcome"], bad["response"]) == (False, "refused", "who are you")
    assert receiver.requests[0].verify(router.secrets["crm"])["type"] == "endpoint.test"
    assert (await router.call("GET", "/v1/deliveries"))["deliveries"] == []


async def test_limits_of_two_processes(start_router: StartRouter, receiver: Receiver) -> None:
    """Concurrency and rate of an endpoint hold for all processes together."""
    busiest = 0

    async def slowly(_: Receiver, writer: asyncio.StreamWriter) -> bool:
        nonlocal busiest
        busiest = max(busiest, receiver.busy)
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 204 Nothing\r\n\r\n")
        return True

    receiver.always = slowly
    async with open_receiver() as rated, start_router() as one, start_router(workers=["deliveries", "bell"]) as _:
        await one.set_team(
            endpoints=[
                {"name": "crm", "url": receiver.url, "concurrency": 3},
                {"name": "chat", "url": rated.url, "rate": 8},
            ]
        )
        started = monotonic()
        await one.hand_over(*(make_handoff() for _ in range(20)))
        await receiver.wait_for(20)
        await rated.wait_for(20)
        took = monotonic() - started

    assert busiest <= 3
    assert took >= (20 - 8) / 8 - 0.1  # a second's worth at once, the others at the rate


async def test_one_attempt_looks(start_router: StartRouter, receiver: Receiver) -> None:
    """While the breaker is open nothing is sent, then one attempt of all processes; a success lets the others go."""
    receiver.always = answers(500)
    clock = MovableClock()
    options = {"clock": clock, "breaker_failures": 3, "delivery_retries": "1s,1s,1s,1s,1s,1s", "delivery_jitter": 0}
    async with start_router(**options) as one, start_router(workers=["deliveries"], **options) as _:
        await one.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        await one.hand_over(*(make_handoff() for _ in range(12)))

        async def is_broken() -> bool:
            return bool((await one.call("GET", "/v1/endpoints/crm"))["status"] == "broken" and not receiver.busy)

        await until(is_broken, what="the breaker to open")
        clock.ahead += timedelta(seconds=5)
        failed = len(receiver.requests)
        receiver.always = hangs
        clock.ahead += timedelta(seconds=60)
        await receiver.wait_for(failed + 1)
        nobody_else = await claim(ClaimStore(one.platform.engine), clock)
        looking = receiver.busy
        before = (await one.call("GET", "/v1/endpoints/crm"))["failures"]
        receiver.always = answers(200)
        receiver.released.set()

        async def has_looked() -> bool:
            return bool((await one.call("GET", "/v1/endpoints/crm"))["failures"] != before)

        await until(has_looked, what="the attempt that looks to end")
        clock.ahead += timedelta(seconds=200)
        await one.wait_for_delivery("delivered", count=12)
        shown = await one.call("GET", "/v1/endpoints/crm")

    assert (looking, nobody_else) == (1, [])
    assert failed < 12
    assert (shown["status"], shown["failures"]) == ("open", 0)


async def test_an_endpoint_that_fails_for_days(start_router: StartRouter, receiver: Receiver) -> None:
    """It is disabled, and who asked is told, once."""
    receiver.always = answers(500)
    clock = MovableClock()
    async with open_receiver() as watch, start_router(clock=clock, breaker_failures=1) as router:
        await router.set_team(
            endpoints=[
                {"name": "crm", "url": receiver.url, "retries": ["1s"] * 20},
                {"name": "watch", "url": watch.url, "events": ["endpoint.disabled", "delivery.exhausted"]},
            ]
        )
        await router.hand_over(make_handoff(respond=NO_HURRY))
        await wait_for_attempts(router, 1)
        clock.ahead = timedelta(days=6)
        (told,) = await watch.wait_for(1)
        shown = await router.call("GET", "/v1/endpoints/crm")

    assert told.payload["type"] == "endpoint.disabled"
    assert (told.payload["data"]["endpoint"], told.payload["data"]["because"]) == ("crm", "failing")
    assert shown["status"] == "failing"


async def test_deliveries_that_die(start_router: StartRouter, receiver: Receiver) -> None:
    """Of deliveries to an endpoint that die within an hour one is told, to who asked."""
    receiver.always = answers(500)
    async with open_receiver() as watch, start_router() as router:
        await router.set_team(
            endpoints=[
                {"name": "crm", "url": receiver.url, "retries": []},
                {"name": "watch", "url": watch.url, "events": ["delivery.exhausted"]},
            ]
        )
        await router.hand_over(*(make_handoff() for _ in range(3)))
        dead = await router.wait_for_delivery("dead", count=3)
        (told,) = await watch.wait_for(1)
        await router.wait_for_delivery("delivered")

    assert told.verify(router.secrets["watch"])["type"] == "delivery.exhausted"
    assert told.payload["data"]["delivery"] in [item["id"] for item in dead]
    assert len(watch.requests) == 1


async def test_the_order_of_a_contact(start_router: StartRouter, receiver: Receiver) -> None:
    """A message about a contact waits for the one before it; those about others do not, and a dead one frees it."""
    receiver.script(answers(500))
    contact, other = make_handoff(respond=NO_HURRY), make_handoff(respond=NO_HURRY)
    later = make_handoff(contact_id=contact.contact.id, respond=NO_HURRY)
    clock = MovableClock()
    async with start_router(clock=clock) as router:
        endpoint = {"name": "crm", "url": receiver.url, "order": "contact", "retries": ["1h"]}
        await router.set_team(endpoints=[endpoint])
        await router.hand_over(contact)
        await receiver.wait_for(1)
        await router.hand_over(later, other)
        await receiver.wait_for(2)
        await router.wait_for_delivery("delivered")
        waiting = [request.payload["data"]["handoff"]["id"] for request in receiver.requests]
        receiver.script(answers(500))
        clock.ahead = timedelta(hours=2)
        await router.wait_for_delivery("dead")
        await receiver.wait_for(4)
        await router.wait_for_delivery("delivered", count=2)

    assert waiting == [str(contact.id), str(other.id)]
    assert receiver.requests[-1].payload["data"]["handoff"]["id"] == str(later.id)


async def test_client_credentials(start_router: StartRouter, receiver: Receiver) -> None:
    """A token is got once for many attempts, anew once after a 401, and its secret shows nowhere."""

    def grants(token: str) -> Any:
        return answers(200, b'{"access_token": "%s", "expires_in": 3600}' % token.encode())

    async with open_receiver() as login, start_router(secret_key=KEY) as router:
        login.script(grants("one"), grants("two"), answers(400, b"s3cret is wrong"))
        oauth2 = {"token_url": login.url, "client_id": "tandem", "client_secret": "s3cret", "scope": "leads"}
        await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "oauth2": oauth2, "retries": []}])
        await router.hand_over(make_handoff(), make_handoff())
        await router.wait_for_delivery("delivered", count=2)
        asked_once = len(login.requests)
        receiver.script(answers(401))
        await delivered_one(router, receiver)
        await router.wait_for_delivery("delivered", count=3)
        receiver.script(answers(401))
        await router.hand_over(make_handoff())
        (dead,) = await router.wait_for_delivery("dead")
        (attempt,) = await attempts_of(router, dead["id"])

    assert asked_once == 1
    expected = base64.b64encode(b"tandem:s3cret").decode()
    assert login.requests[0].headers["authorization"] == f"Basic {expected}"
    assert login.requests[0].body == b"grant_type=client_credentials&scope=leads"
    tokens = [request.headers["authorization"].split()[1] for request in receiver.requests]
    assert tokens == ["one", "one", "one", "two", "two"]
    assert (attempt["outcome"], attempt["error"]) == ("not_authorised", "No token: The token endpoint answered 400.")
    assert "s3cret" not in str(attempt)


async def test_a_token_endpoint_inside(start_router: StartRouter, receiver: Receiver) -> None:
    """It is guarded at the dial as the endpoint itself: with a private address the secret is sent to nobody."""
    async with open_receiver() as login, start_router(secret_key=KEY) as allowing:
        oauth2 = {"token_url": login.url, "client_id": "tandem", "client_secret": "s3cret"}
        await allowing.set_team(endpoints=[{"name": "crm", "url": receiver.url, "oauth2": oauth2, "retries": []}])
        await allowing.stop()
        async with start_router(secret_key=KEY, delivery_allowed_networks="") as router:
            await router.hand_over(make_handoff())
            (dead,) = await router.wait_for_delivery("dead")
            (attempt,) = await attempts_of(router, dead["id"])

    assert attempt["outcome"] == "not_authorised"
    assert "TANDEM_DELIVERY_ALLOWED_NETWORKS" in str(attempt["error"])
    assert (login.connections, receiver.connections) == (0, 0)


async def test_a_token_endpoint_that_leads_elsewhere(start_router: StartRouter, receiver: Receiver) -> None:
    """A redirect is not followed with the secret, and a token endpoint that hangs ends with the deadline."""
    async with open_receiver() as login, open_receiver() as elsewhere:
        login.script(redirects(elsewhere.url), hangs)
        async with start_router(secret_key=KEY, delivery_deadline="300ms") as router:
            oauth2 = {"token_url": login.url, "client_id": "tandem", "client_secret": "s3cret"}
            await router.set_team(endpoints=[{"name": "crm", "url": receiver.url, "oauth2": oauth2, "retries": []}])
            tried = [await router.call("POST", "/v1/endpoints/crm/test") for _ in range(2)]

    assert [item["outcome"] for item in tried] == ["not_authorised", "not_authorised"]
    assert "307" in tried[0]["error"]
    assert (elsewhere.connections, receiver.connections) == (0, 0)
