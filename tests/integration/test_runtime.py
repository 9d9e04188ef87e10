"""Running services until they are told to stop, or until one of their workers fails."""

import asyncio
from contextlib import closing
from datetime import timedelta

import pytest
from fastapi import APIRouter

from shared.runtime import WorkerFailed, listen, run
from shared.service import Service, Worker
from shared.telemetry.metrics import Metrics


async def run_with(worker: Worker, stopping: asyncio.Event) -> None:
    """Run a service of one worker on a free port."""

    async def ready() -> tuple[str, ...]:
        return ()

    service = Service(name="trial", router=APIRouter(), workers={"worker": worker}, readiness=ready)
    with closing(listen("127.0.0.1", 0)) as sock:
        await run([service], sock=sock, metrics=Metrics(), drain_timeout=timedelta(seconds=10), stopping=stopping)


async def test_a_worker_that_stops_in_the_instant_it_is_told() -> None:
    """It is no failure, however the event loop orders the two."""

    async def wait(stopping: asyncio.Event) -> None:
        await stopping.wait()

    stopping = asyncio.Event()
    stopping.set()
    await run_with(wait, stopping)


async def test_a_worker_that_fails() -> None:
    """The run ends with its name."""

    async def fail(_stopping: asyncio.Event) -> None:
        raise ValueError("no")

    with pytest.raises(WorkerFailed, match=r"trial\.worker"):
        await run_with(fail, asyncio.Event())


async def test_a_worker_that_returns_unasked() -> None:
    """That is a failure too: nobody would do its work."""

    async def leave(_stopping: asyncio.Event) -> None:
        return

    with pytest.raises(WorkerFailed, match=r"trial\.worker"):
        await run_with(leave, asyncio.Event())
