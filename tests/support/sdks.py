"""The SDKs that are tried, each driven by a script of its own in a process of its own."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from shared.leash import leashed
from tests.support.processes import ROOT, clean_environment
from tests.support.sdk_environments import SCRIPTS, SdkUnavailable, node_modules, python_with

Call = Literal["track", "page", "identify", "group", "alias"]


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK in one version. `option` is for its script; `pinned` tells that it needs an environment of its own."""

    package: str
    version: str
    script: str
    option: str = ""
    pinned: bool = False

    @property
    def name(self) -> str:
        """A name for a test."""
        return "-".join(filter(None, [self.package.strip("@").replace("/", "-"), self.version, self.variant]))

    @property
    def variant(self) -> str:
        """What is told apart beside the version."""
        return "" if "." in self.option else self.option

    @property
    def on_node(self) -> bool:
        """Whether it runs on Node.js rather than on Python."""
        return self.script.endswith(".mjs")

    def make_environment(self) -> Path:
        """Return the Python that has it, or the directory with its `node_modules`. Raises SdkUnavailable."""
        if self.on_node:
            return node_modules()
        if self.pinned:
            return python_with(SCRIPTS / f"{self.package}-{self.version}.txt")
        return Path(sys.executable)


SDKS = (
    Sdk("segment-analytics-python", "2.4.0", "segment_family", "segment.analytics.client"),
    Sdk("segment-analytics-python", "2.3.3", "segment_family", "segment.analytics.client", pinned=True),
    Sdk("analytics-python", "1.4.post1", "segment_family", "analytics.client", pinned=True),
    Sdk("rudder-sdk-python", "2.1.9", "segment_family", "rudderstack.analytics.client"),
    Sdk("posthog", "7.91.1", "posthog_sdk", "v0"),
    Sdk("posthog", "7.91.1", "posthog_sdk", "v1"),
    Sdk("snowplow-tracker", "1.1.0", "snowplow_sdk", "post"),
    Sdk("snowplow-tracker", "1.1.0", "snowplow_sdk", "get"),
    Sdk("cloudevents", "2.2.0", "cloudevents_sdk", "structured"),
    Sdk("cloudevents", "2.2.0", "cloudevents_sdk", "binary"),
    Sdk("@segment/analytics-node", "3.1.0", "segment_node.mjs"),
    Sdk("@rudderstack/rudder-sdk-node", "3.0.13", "rudder_node.mjs"),
)


@dataclass(slots=True)
class SdkRun:
    """A script at work for one person."""

    sdk: Sdk
    person: str
    _process: asyncio.subprocess.Process
    _output: asyncio.Task[tuple[bytes, bytes]]

    async def send(self, count: int) -> None:
        """Have it send so many more numbers, each as a track and a page call; returns at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n".encode())
        await self._process.stdin.drain()

    async def finish(self, *, seconds: float) -> Counter[tuple[Call, int]]:
        """Have it send what is left and end; return what it says that it sent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(seconds):
                told, complaints = await asyncio.shield(self._output)
        except TimeoutError:
            raise AssertionError(f"{self.sdk.name} did not end within {seconds} s") from None
        assert self._process.returncode == 0, f"{self.sdk.name}: {complaints.decode(errors='replace')[-3000:]}"
        lines = [json.loads(line) for line in told.splitlines()]
        return Counter((line["call"], line["number"]) for line in lines)

    async def end(self) -> None:
        """Kill what is left of it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._output


def environment_or_skip(sdk: Sdk) -> Path:
    """Return the environment of the SDK; where it cannot be had, skip the test with the reason, or fail it in CI."""
    try:
        return sdk.make_environment()
    except SdkUnavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{sdk.name} NOT TRIED: {error}")


@asynccontextmanager
async def running_sdk(sdk: Sdk, *, url: str, key: str, person: str) -> AsyncIterator[SdkRun]:
    """Run the script until the block ends; it sends nothing numbered until it is told to."""
    environment = await asyncio.to_thread(environment_or_skip, sdk)
    if sdk.on_node:
        command, directory = ["node", str(SCRIPTS / sdk.script)], environment
    else:
        command, directory = [str(environment), "-m", f"tests.support.sdk_scripts.{sdk.script}"], ROOT
    process = await asyncio.create_subprocess_exec(
        *leashed(*command),
        url,
        key,
        person,
        sdk.option,
        cwd=directory,
        env={**clean_environment({}), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    run = SdkRun(sdk, person, process, asyncio.create_task(_read(process)))
    try:
        yield run
    finally:
        await run.end()


async def _read(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    told, complaints = await asyncio.gather(process.stdout.read(), process.stderr.read())
    await process.wait()
    return told, complaints
