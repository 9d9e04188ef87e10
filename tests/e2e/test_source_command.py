"""`tandem source` as an admin types it, and what senders get."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from posthog import Posthog
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events.page_view import PageView
from snowplow_tracker.tracker import Tracker

from services.client import TandemClient
from tests.e2e.conftest import Install
from tests.e2e.test_command_line import tandem
from tests.support.processes import running_tandem


async def test_the_life_of_a_source(install: Install) -> None:
    """Added, listed, changed, rotated, disabled; each mistake is one line that says what is wrong."""
    async with running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as running:
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


Send = Callable[[str, str, list[object]], None]  # the URL, the write key, where failures are told


def by_segment(url: str, key: str, failures: list[object]) -> None:
    client = SegmentClient(key, host=url, max_retries=5, on_error=lambda error, _: failures.append(error))
    client.page("u-1", None, "Pricing")
    client.flush()
    client.join()


def by_rudderstack(url: str, key: str, failures: list[object]) -> None:
    client = RudderClient(key, host=url, max_retries=5, on_error=lambda error, _: failures.append(error))
    client.page("u-1", None, "Pricing")
    client.flush()
    client.join()


def by_posthog(url: str, key: str, failures: list[object], **options: Any) -> None:
    client = Posthog(key, host=url, max_retries=5, on_error=lambda error, _: failures.append(error), **options)
    client.capture("Pricing", distinct_id="u-1")
    client.flush()
    client.shutdown()


def by_snowplow(url: str, key: str, failures: list[object], **options: Any) -> None:
    emitter = Emitter(
        "127.0.0.1",
        protocol="http",
        port=urlsplit(url).port,
        on_failure=lambda _sent, unsent: failures.extend(unsent),
        request_timeout=15,
        **options,
    )
    tracker = Tracker("website", emitter, app_id=key)
    tracker.track(PageView("https://acme.example/pricing", "Pricing"))
    tracker.flush()


SDKS: dict[str, Send] = {
    "segment": by_segment,
    "rudderstack": by_rudderstack,
    "posthog": by_posthog,
    "posthog-v1": partial(by_posthog, capture_mode="v1"),
    "snowplow": partial(by_snowplow, method="post"),
    "snowplow-get": partial(by_snowplow, method="get"),
}


async def test_sdks_whose_source_is_disabled(install: Install) -> None:
    """Each drops what it has after one try, and tells the application; none goes on trying."""
    async with (
        running_tandem("up", settings=install.settings, log=install.directory / "tandem.log") as running,
        TandemClient(running.url, install.keys["admin"]) as api,
    ):
        key = (await api.add_source({"name": "shop", "kind": "web"}))["key"]
        await api.switch_source("shop", "disable")
        for number, (name, send) in enumerate(SDKS.items(), start=1):
            failures: list[object] = []
            await asyncio.wait_for(asyncio.to_thread(send, running.url, key, failures), 30)
            metrics = await api.text("/metrics")

            assert len(failures) == 1, name
            assert f'tandem_requests_refused_total{{reason="source_disabled"}} {number}.0' in metrics, name
