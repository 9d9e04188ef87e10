"""Both backends of the log, each on the servers that the session shares."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.records import Topic
from tests.support.trial import engine, positions

__all__ = ["engine", "positions"]

OpenLog = Callable[[], AbstractAsyncContextManager[EventLog]]


@pytest.fixture(params=["postgres", "kafka"])
def open_backend(request: pytest.FixtureRequest, database_url: str) -> OpenLog:
    """Open another client of the log."""
    bootstrap = request.getfixturevalue("kafka_bootstrap") if request.param == "kafka" else None
    return lambda: open_log(
        kafka_bootstrap=bootstrap, database_url=database_url, name="contract", append_timeout=timedelta(seconds=5)
    )


@pytest_asyncio.fixture
async def log(open_backend: OpenLog) -> AsyncIterator[EventLog]:
    """The log."""
    async with open_backend() as opened:
        yield opened


@pytest_asyncio.fixture
async def topic(log: EventLog) -> str:
    """A new topic with four partitions."""
    name = f"topic-{uuid4().hex}"
    await log.create_topics([Topic(name, partitions=4, retention_hours=1)])
    return name


@pytest.fixture
def group() -> str:
    """The name of a new group."""
    return f"group-{uuid4().hex}"
