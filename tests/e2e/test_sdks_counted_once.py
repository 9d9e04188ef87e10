"""Each SDK in a process of its own, sending numbered events while requests fail and Tandem goes away."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.client import TandemClient
from tests.e2e.conftest import Install, someone
from tests.support.fault_proxy import answers, loses_the_answer, open_fault_proxy, resets
from tests.support.processes import TandemProcess
from tests.support.sdks import SDKS, Call, Sdk, SdkRun, running_sdk
from tests.support.waiting import until

NUMBERS = 20  # each a track and a page call
NUMBERS_A_ROUND = 3  # more than one request's worth
SENDING_SECONDS = 60
COUNTING_SECONDS = 30
EASY = timedelta(milliseconds=100)

# Where requests go one after the other, each of these hits another batch, and its repeat goes through.
FAULTS = {
    1: answers(500),
    3: loses_the_answer,
    5: answers(503, retry_after=1),
    7: resets,
    9: answers(429, retry_after=1),
    11: loses_the_answer,
}

PYTHON = [sdk for sdk in SDKS if not sdk.on_node]
NODE = [sdk for sdk in SDKS if sdk.on_node]
each_sdk = pytest.mark.parametrize("sdk", SDKS, ids=[sdk.name for sdk in SDKS])


async def all_counted(tandem: TandemProcess, install: Install, run: SdkRun, sent: Counter[tuple[Call, int]]) -> None:
    """Wait until the contact has each event once, and check what the calls without a number said about it."""
    actions = [event for event in sent if event[0] in {"track", "page"}]
    assert sent.total() == len(sent)
    async with TandemClient(tandem.url, install.keys["marketing"]) as api:
        found: list[dict[str, Any]] = []

        async def counted() -> bool:
            found[:] = (await api.get("/v1/contacts", email=f"{run.person}@acme.example"))["contacts"]
            return bool(found) and found[0]["touches"] >= len(actions)

        await until(counted, seconds=COUNTING_SECONDS, poll=EASY, what=lambda: f"{found}\n{tandem.log_text()}")
        (contact,) = found
        touches = await all_touches(api, contact["id"])

    assert Counter(number_of(touch) for touch in touches) == sent
    assert contact["touches"] == len(actions)
    aliases = {(alias["kind"], alias["value"]) for alias in contact["aliases"]}
    assert ("email", f"{run.person}@acme.example") in aliases
    assert ("anonymous", f"visitor-{run.person}") in aliases
    if sent["identify", 0]:
        assert ("user", f"user-{run.person}") in aliases
        assert contact["traits"]["title"] == "Director"
    if sent["group", 0]:
        assert contact["account"]["domain"] == "acme.example"


async def all_touches(api: TandemClient, contact: str) -> list[dict[str, Any]]:
    """Return the touches, of all pages."""
    touches: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = await api.get(f"/v1/contacts/{contact}/touches", **query)
        touches += page["touches"]
        if page["next"] is None:
            return touches
        query["cursor"] = page["next"]


def number_of(touch: dict[str, Any]) -> tuple[str, int]:
    """Return the call that the touch was, with its number, if it has one."""
    if touch["type"] == "page":
        return "page", int(parse_qs(urlsplit(touch["url"]).query)["number"][0])
    return touch["type"], int(touch["properties"].get("number", 0))


def like(sdk: Sdk) -> str:
    return sdk.script.partition(".")[0].replace("_", "-")


@each_sdk
async def test_normal_traffic(tandem: TandemProcess, shared_install: Install, sdk: Sdk) -> None:
    """Each event is counted once, for the one contact that all of them are about."""
    key = shared_install.keys["source"]
    async with running_sdk(sdk, url=tandem.url, key=key, person=someone(like(sdk))) as run:
        await run.send(NUMBERS)
        sent = await run.finish(seconds=SENDING_SECONDS)
    await all_counted(tandem, shared_install, run, sent)


async def grown(counts: Callable[[], Sequence[int]], before: Sequence[int]) -> None:
    """Wait until each of the counts is higher than it was."""

    async def all_higher() -> bool:
        return all(count > old for count, old in zip(counts(), before, strict=True))

    await until(all_higher, seconds=SENDING_SECONDS, what=lambda: f"more than {before}, but {counts()}")


@each_sdk
async def test_faults_on_the_way(tandem: TandemProcess, shared_install: Install, sdk: Sdk) -> None:
    """It sends again what failed, and what was stored and only seemed to fail; each event is counted once."""
    key = shared_install.keys["source"]
    async with (
        open_fault_proxy(tandem.port, FAULTS) as proxy,
        running_sdk(sdk, url=proxy.url, key=key, person=someone(like(sdk))) as run,
    ):
        while len(proxy.passed) < max(FAULTS):
            before = len(proxy.passed)
            await run.send(NUMBERS_A_ROUND)
            await grown(lambda: [len(proxy.passed)], [before])
        sent = await run.finish(seconds=SENDING_SECONDS)
    await all_counted(tandem, shared_install, run, sent)

    lost = [one.status for one in proxy.passed if FAULTS.get(one.number) is loses_the_answer]
    assert lost == [200, 200]


@pytest.mark.parametrize("sdks", [PYTHON, NODE], ids=["python", "node"])
async def test_restarts_in_the_middle(tandem: TandemProcess, shared_install: Install, sdks: Sequence[Sdk]) -> None:
    """Tandem is killed, and later stopped, while all of them send; what they sent around that is counted once."""
    key = shared_install.keys["source"]
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(open_fault_proxy(tandem.port)) for _ in sdks]
        runs = [
            await stack.enter_async_context(running_sdk(sdk, url=proxy.url, key=key, person=someone(like(sdk))))
            for sdk, proxy in zip(sdks, proxies, strict=True)
        ]

        async def all_send(count: int) -> None:
            await asyncio.gather(*(run.send(count) for run in runs))

        def stored() -> list[int]:
            return [proxy.stored for proxy in proxies]

        def unreachable() -> list[int]:
            return [proxy.unreachable for proxy in proxies]

        for number in (signal.SIGKILL, signal.SIGTERM):
            before = stored()
            await all_send(NUMBERS)
            await grown(stored, before)  # each is in the middle of sending
            before = unreachable()
            await tandem.stop(number)
            await all_send(NUMBERS_A_ROUND)
            await grown(unreachable, before)
            tandem.start()
            await tandem.ready()
        sent = await asyncio.gather(*(run.finish(seconds=SENDING_SECONDS) for run in runs))
        for run, its in zip(runs, sent, strict=True):
            await all_counted(tandem, shared_install, run, its)
