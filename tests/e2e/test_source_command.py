"""`tandem source` as an admin types it, and what senders get."""

import asyncio
from typing import Any

import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from services.client import TandemClient
from tests.e2e.conftest import Install
from tests.e2e.test_command_line import tandem
from tests.support.processes import running_tandem


async def test_the_life_of_a_source(install: Install) -> None:
    """Added, listed, changed, rotated, disabled; each mistake is one line that says what is wrong."""
    async with running_tandem("ingest", settings=install.settings, log=install.directory / "tandem.log") as running:
        where = {"TANDEM_URL": running.url, "TANDEM_KEY": install.keys["admin"]}

        async def source(*arguments: str) -> tuple[int, str, str]:
            done = await asyncio.to_thread(tandem, "source", *arguments, **where)
            return done.returncode, done.stdout, done.stderr

        code, added, _ = await source("add", "shop", "--kind", "web", "--rate", "500", "--daily-quota", "1000000")
        assert code == 0
        assert "write key of shop, shown once: wk_" in added
        _, listed, _ = await source("list")
        assert "shop" in listed
        assert "1000000" in listed
        _, changed, _ = await source("set", "shop", "--requires-consent", "marketing", "--rate", "0")
        assert "marketing" in changed
        _, rotated, _ = await source("rotate", "shop", "--overlap", "1h")
        assert "shown once: wk_" in rotated
        assert "opens until" in rotated
        _, shown, _ = await source("show", "shop")
        assert shown.count("wk_") == 2
        assert (await source("disable", "shop"))[1] == "shop is disabled\n"
        assert (await source("enable", "shop"))[1] == "shop is enabled\n"

        for mistake, said in (
            (("add", "shop", "--kind", "web"), "409 source_exists"),
            (("add", "a b", "--kind", "web"), "422 invalid_request"),
            (("show", "nowhere"), "404 source_missing"),
            (("set", "shop"), "Say what to change"),
            (("rotate", "shop", "--overlap", "soon"), "422 invalid_request"),
            (("add", "mail", "--kind", "campaign", "--secret-file", "/nowhere"), "Cannot read /nowhere"),
            (("disable", "shop", "--key", "wrong"), "401 unauthorized"),
        ):
            code, _, errors = await source(*mistake)
            assert code == 2, mistake
            assert errors.startswith(f"error: {said}"), errors
            assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("sdk", [SegmentClient, RudderClient], ids=["segment", "rudderstack"])
async def test_an_sdk_whose_source_is_disabled(install: Install, sdk: Any) -> None:
    """It drops what it has after one try, and tells the application."""
    async with (
        running_tandem("ingest", settings=install.settings, log=install.directory / "tandem.log") as running,
        TandemClient(running.url, install.keys["admin"]) as api,
    ):
        key = (await api.add_source({"name": "shop", "kind": "web"}))["key"]
        await api.switch_source("shop", "disable")
        failures: list[object] = []
        client = sdk(key, host=running.url, max_retries=5, on_error=lambda error, _: failures.append(error))

        def send() -> None:
            client.page("u-1", None, "Pricing")
            client.flush()
            client.join()

        await asyncio.wait_for(asyncio.to_thread(send), 20)
        metrics = await api.text("/metrics")

    assert len(failures) == 1
    assert 'tandem_requests_refused_total{reason="source_disabled"} 1.0' in metrics
