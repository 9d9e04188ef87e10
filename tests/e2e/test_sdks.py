"""The real SDKs of Segment and RudderStack, pointed at a running Tandem and changed in nothing else."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from services.client import TandemClient
from tests.e2e.conftest import Install, someone
from tests.support.processes import TandemProcess
from tests.support.waiting import until

VISITS = 250  # more than one batch of 100


@pytest.mark.parametrize("sdk", [SegmentClient, RudderClient], ids=["segment", "rudderstack"])
async def test_everything_that_an_sdk_sends(tandem: TandemProcess, shared_install: Install, sdk: Any) -> None:
    """Each event is counted once, and all of them are one contact's."""
    person = someone()
    failures: list[object] = []
    client = sdk(
        shared_install.keys["source"],
        host=tandem.url,
        max_retries=2,
        on_error=lambda error, _batch: failures.append(error),
    )

    noon = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(12), tzinfo=UTC)  # one day's cap

    def send() -> None:
        client.identify(
            person, {"email": f"{person.title()}@Acme.example", "title": "Director"}, message_id="m-identify"
        )
        client.group(person, "acme.example", {"name": "Acme", "industry": "logistics"})
        client.alias(f"visitor-{person}", person)
        for number in range(VISITS):
            client.page(person, None, "Pricing", {"path": "/pricing", "visit": number})
            clicked = {"link": number}
            client.track(person, "Email Link Clicked", clicked, timestamp=noon, message_id=f"m-click-{number}")
        client.track(person, "Email Link Clicked", {"link": 0}, timestamp=noon, message_id="m-click-0")  # sent twice
        client.screen(person, None, "Home")
        client.flush()
        client.join()

    await asyncio.to_thread(send)
    assert failures == []
    async with TandemClient(tandem.url, shared_install.keys["marketing"]) as api:

        async def counted() -> bool:
            contacts = (await api.get("/v1/contacts", email=f"{person}@acme.example"))["contacts"]
            return bool(contacts) and contacts[0]["touches"] >= 2 * VISITS + 1

        await until(counted, seconds=30, what=lambda: f"all counted\n{tandem.log_text()}")
        (contact,) = (await api.get("/v1/contacts", email=f"{person}@acme.example"))["contacts"]

    assert contact["touches"] == 2 * VISITS + 1
    assert {"kind": "user", "value": person} in contact["aliases"]
    assert {"kind": "anonymous", "value": f"visitor-{person}"} in contact["aliases"]
    assert contact["traits"]["title"] == "Director"
    parts = {part["rule"]: part for part in contact["engagement"]["parts"] if "rule" in part}
    assert parts["email-clicked"]["count"] == 5  # per_day of the example agreement
