"""What tests of every kind may ask for: real servers, and a database of their own."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.postgres.migrate import migrate
from tests.support.kafka import KafkaServer, KafkaUnavailable, running_kafka
from tests.support.postgres import PostgresServer, running_postgres


@pytest_asyncio.fixture(scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """The server that the session shares: tests that take a server down run their own."""
    async with running_postgres() as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The name of a migrated database to copy: a copy takes milliseconds."""
    name = f"template_{uuid4().hex}"
    await postgres_server.create_database(name)
    await migrate(postgres_server.url(name))
    yield name
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def database_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """The URL of a migrated database that only this test uses."""
    name = f"test_{uuid4().hex}"
    await postgres_server.create_database(name, template=migrated_template)
    yield postgres_server.url(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="session")
async def kafka_server() -> AsyncIterator[KafkaServer]:
    """The broker that the session shares. Where none can be had the test is skipped, in CI it fails."""
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(running_kafka())
        except KafkaUnavailable as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        yield server


@pytest.fixture
def kafka_bootstrap(kafka_server: KafkaServer) -> str:
    """The addresses of the shared broker; name topics and groups anew in each test."""
    return kafka_server.bootstrap
