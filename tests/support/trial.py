"""Fixtures of a service that tests play: tables, positions and a log in one database. Import them by name."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.log.postgres import open_postgres_log
from shared.log.protocol import EventLog
from shared.log.records import Topic
from shared.postgres.engine import open_engine
from shared.postgres.positions import Positions
from tests.support import reading


@pytest_asyncio.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The database of the service."""
    async with open_engine(database_url, name="trial") as opened:
        await reading.create_tables(opened)
        yield opened


@pytest.fixture
def positions(engine: AsyncEngine) -> Positions:
    """Its positions."""
    return Positions(engine, reading.position, owner="trial")


@pytest_asyncio.fixture
async def log(database_url: str) -> AsyncIterator[EventLog]:
    """Its log."""
    async with open_postgres_log(database_url, name="trial") as opened:
        yield opened


@pytest_asyncio.fixture
async def topic(log: EventLog) -> str:
    """A topic with two partitions."""
    name = f"topic-{uuid4().hex}"
    await log.create_topics([Topic(name, partitions=2, retention_hours=1)])
    return name
