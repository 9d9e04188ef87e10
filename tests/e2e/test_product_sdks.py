"""The real SDKs of PostHog and Snowplow, pointed at a running Tandem and changed in nothing else."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from posthog import Posthog
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.events.self_describing import SelfDescribing
from snowplow_tracker.events.structured_event import StructuredEvent
from snowplow_tracker.self_describing_json import SelfDescribingJson
from snowplow_tracker.subject import Subject
from snowplow_tracker.tracker import Tracker

from services.client import TandemClient
from tests.e2e.conftest import Install, someone
from tests.support.processes import TandemProcess
from tests.support.waiting import until

VISITS = 60


async def counted(tandem: TandemProcess, install: Install, *, email: str, touches: int) -> dict[str, Any]:
    """Return the contact with the address, once it has so many touches and a touch that came last is there."""
    async with TandemClient(tandem.url, install.keys["marketing"]) as api:
        found: list[dict[str, Any]] = []

        async def all_counted() -> bool:
            found[:] = (await api.get("/v1/contacts", email=email))["contacts"]
            return bool(found) and found[0]["touches"] >= touches

        await until(all_counted, seconds=30, what=lambda: f"{touches} touches in {found}\n{tandem.log_text()}")
        assert len(found) == 1
        return found[0]


async def everybody(tandem: TandemProcess, install: Install) -> set[str]:
    """Return the ids of all contacts."""
    async with TandemClient(tandem.url, install.keys["marketing"]) as api:
        return {contact["id"] for contact in (await api.get("/v1/contacts", limit=200))["contacts"]}


@pytest.mark.parametrize(
    "options",
    [{}, {"gzip": True}, {"capture_mode": "v1"}, {"capture_mode": "v1", "capture_compression": "deflate"}],
    ids=["plain", "gzip", "v1", "v1-deflate"],
)
async def test_posthog(tandem: TandemProcess, shared_install: Install, options: dict[str, Any]) -> None:
    """Each event is counted once, under one contact, whatever it was called before it signed in."""
    person = someone()
    before = await everybody(tandem, shared_install)
    failures: list[object] = []
    client = Posthog(
        shared_install.keys["source"],
        host=tandem.url,
        max_retries=2,
        on_error=lambda error, _batch: failures.append(error),
        **options,
    )

    def send() -> None:
        for number in range(VISITS):
            client.capture(
                "$pageview", distinct_id=f"visitor-{person}", properties={"$current_url": f"https://a.example/{number}"}
            )
        client.alias(f"visitor-{person}", person)
        client.set(distinct_id=person, properties={"email": f"{person.title()}@Acme.example", "title": "Director"})
        client.group_identify("company", "acme", {"name": "Acme", "industry": "logistics"}, distinct_id=person)
        client.group_identify("company", "nobody", {"name": "Nobody"})  # made up an id of its own
        client.capture("Nobody's", properties={"personless": True})  # likewise
        for number in range(VISITS):
            client.capture("Signed Up", distinct_id=person, properties={"plan": number})
        for _ in range(2):
            client.capture("Paid", distinct_id=person, uuid="0b6c1f56-6a3f-4d2b-9f2c-5a1f0f9a5c11")
        client.flush()
        client.shutdown()

    await asyncio.to_thread(send)
    assert failures == []
    contact = await counted(tandem, shared_install, email=f"{person}@acme.example", touches=2 * VISITS + 1)

    assert contact["touches"] == 2 * VISITS + 1
    assert {(alias["kind"], alias["value"]) for alias in contact["aliases"]} == {
        ("user", person),
        ("email", f"{person}@acme.example"),
        ("anonymous", person),
        ("anonymous", f"visitor-{person}"),
    }
    assert contact["traits"]["title"] == "Director"
    assert await everybody(tandem, shared_install) - before == {contact["id"]}


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("encoding", ["base64", "plain"])
async def test_snowplow(tandem: TandemProcess, shared_install: Install, method: Any, encoding: str) -> None:
    """Each event is counted once, and all of them are one contact's."""
    person = someone()
    failures: list[object] = []
    emitter = Emitter(
        "127.0.0.1",
        protocol="http",
        port=urlsplit(tandem.url).port,
        method=method,
        on_failure=lambda _sent, unsent: failures.append(unsent),
        request_timeout=30,
    )
    subject = Subject().set_user_id(f"{person}@acme.example").set_domain_user_id(f"domain-{person}")
    tracker = Tracker(
        "website", emitter, subject, app_id=shared_install.keys["source"], encode_base64=encoding == "base64"
    )
    trial = SelfDescribingJson("iglu:com.acme/trial_started/jsonschema/1-0-0", {"plan": "Zoë?>"})
    account = SelfDescribingJson("iglu:com.acme/account/jsonschema/1-0-0", {"tier": "gold"})

    def send() -> None:
        for number in range(VISITS):
            tracker.track(PageView(f"https://acme.example/pricing?visit={number}", "Pricing"))
            tracker.track(StructuredEvent("shop", "add-to-basket", value=number))
        tracker.track(SelfDescribing(trial, context=[account]))
        tracker.flush()

    await asyncio.to_thread(send)
    assert failures == []
    contact = await counted(tandem, shared_install, email=f"{person}@acme.example", touches=2 * VISITS + 1)
    async with TandemClient(tandem.url, shared_install.keys["marketing"]) as api:
        touches = (await api.get(f"/v1/contacts/{contact['id']}/touches", limit=200))["touches"]

    assert contact["touches"] == 2 * VISITS + 1
    assert {"kind": "anonymous", "value": f"domain-{person}"} in contact["aliases"]
    (started,) = (touch for touch in touches if touch["name"] == "trial_started")
    assert started["properties"] == {"plan": "Zoë?>", "contexts": {"account": {"tier": "gold"}}}
