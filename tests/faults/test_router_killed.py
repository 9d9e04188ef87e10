"""Promise 4 under SIGKILL: one handoff, at least one delivery, always under the same `webhook-id`."""

import asyncio
import random

import msgspec
import pytest

from services.client import TandemClient
from services.receiver import WebhookReceiver
from tests.e2e.conftest import Install, apply_team, sign_agreement
from tests.support.processes import TandemProcess, create_topics
from tests.support.waiting import until

KILLS = 20
LEADS = 150


@pytest.mark.timeout(900)
async def test_the_router_is_killed_twenty_times_under_load(
    install: Install, own_kafka: str, receiver: WebhookReceiver
) -> None:
    """Every lead arrives, no handoff has two ids, and each is assigned once."""
    install = install.on_kafka(own_kafka)
    settings = {**install.settings, "TANDEM_DELIVERY_LEASE": "4s", "TANDEM_DELIVERY_DEADLINE": "2s"}
    await create_topics(settings, install.directory)
    processes = {
        name: TandemProcess(name, settings=settings, log=install.directory / f"{name}.log")
        for name in ("ingest", "scorer", "router")
    }
    router = processes["router"]
    dice = random.Random(5)
    try:
        for process in processes.values():
            process.start()
        for process in processes.values():
            await process.ready()
        await sign_agreement(processes["scorer"].url, install.keys)
        await apply_team(router.url, install.keys, receiver)
        sending = asyncio.create_task(raise_hands(processes["ingest"].url, install.keys["source"]))
        for kill in range(KILLS):
            if kill % 2 == 0:
                await router.ready()
            await asyncio.sleep(dice.uniform(0.0, 0.8))
            router.kill()
            router.start()
        await sending
        await router.ready()

        async def all_arrived() -> bool:
            return len(arrived(receiver)) == LEADS

        await until(all_arrived, seconds=90, what=lambda: f"{len(arrived(receiver))} arrived\n{router.log_text()}")
        async with TandemClient(router.url, install.keys["sales"]) as api:
            page = await api.get("/v1/handoffs", limit=200)
    finally:
        await asyncio.gather(*(process.stop() for process in processes.values()))

    assert receiver.refused == 0
    webhook_ids: dict[str, set[str]] = {}
    for receipt in receiver.receipts:
        webhook_ids.setdefault(receipt.payload["data"]["handoff"]["id"], set()).add(receipt.webhook_id)
    assert len(webhook_ids) == LEADS
    assert all(len(ids) == 1 for ids in webhook_ids.values())
    assert {handoff["state"] for handoff in page["handoffs"]} == {"assigned"}
    assert len(page["handoffs"]) == LEADS


def arrived(receiver: WebhookReceiver) -> set[str]:
    """Return the addresses of the leads that arrived."""
    return {receipt.payload["data"]["contact"]["email"] for receipt in receiver.receipts}


async def raise_hands(url: str, key: str) -> None:
    """Let people ask for a demo, one after the other."""
    async with TandemClient(url) as client:
        for number in range(LEADS):
            who = {"userId": f"p{number}", "context": {"traits": {"email": f"p{number}@firm{number}.example"}}}
            form = {"event": "Form Submitted", "properties": {"form": "demo"}, "messageId": f"m-{number}"}
            body = msgspec.json.encode({"batch": [{"type": "track", **who, **form}]})
            await client.post_events("/v1/batch", body, key=key)
            await asyncio.sleep(0.1)
