"""The whole router on real PostgreSQL, with a receiver that misbehaves on demand."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest
import pytest_asyncio

from tests.integration.router.running import RunningRouter, run_router
from tests.support.receiver import Receiver, open_receiver

StartRouter = Callable[..., AbstractAsyncContextManager[RunningRouter]]


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that answers 200 unless told otherwise."""
    async with open_receiver() as running:
        yield running


@pytest.fixture
def start_router(database_url: str) -> StartRouter:
    """Start a router on the test's database; a test may start several."""
    return partial(run_router, database_url)


@pytest_asyncio.fixture
async def router(start_router: StartRouter, receiver: Receiver) -> AsyncIterator[RunningRouter]:
    """A running router whose team has two reps, one pool and the receiver."""
    async with start_router() as running:
        await running.set_team(endpoints=[{"name": "crm", "url": receiver.url}])
        yield running
