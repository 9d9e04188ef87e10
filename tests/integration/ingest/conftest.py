"""Ingest on a real log, spoken to over HTTP."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from shared.events.topics import TopicName
from shared.log.postgres import open_postgres_log
from shared.log.protocol import EventLog
from shared.log.records import Topic
from shared.postgres.engine import open_engine
from tests.integration.ingest.installed import Ingest, open_test_ingest


@pytest_asyncio.fixture
async def log(database_url: str) -> AsyncIterator[EventLog]:
    """The log, with all topics in four partitions."""
    async with open_postgres_log(database_url, name="test") as opened:
        await opened.create_topics([Topic(name, partitions=4, retention_hours=1) for name in TopicName])
        yield opened


@pytest_asyncio.fixture
async def ingest(database_url: str, log: EventLog) -> AsyncIterator[Ingest]:
    """Ingest with two sources and a person."""
    async with open_engine(database_url, name="test") as engine, open_test_ingest(engine, log) as opened:
        yield opened


@pytest_asyncio.fixture
async def two_ingests(database_url: str, log: EventLog) -> AsyncIterator[tuple[Ingest, Ingest]]:
    """Two processes of ingest, as far as the database can tell."""
    async with AsyncExitStack() as stack:
        opened: list[Any] = []
        for name in ("one", "two"):
            engine = await stack.enter_async_context(open_engine(database_url, name=name))
            opened.append(await stack.enter_async_context(open_test_ingest(engine, log, owner=name)))
        yield opened[0], opened[1]
