"""What tests of every kind may ask for: real servers, and a database of their own."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import settings

from shared.postgres.migrate import migrate
from tests.support.kafka import KafkaServer, kafka_or_skip
from tests.support.postgres import PostgresServer, running_postgres

# A machine with other work to do is slow, not wrong.
settings.register_profile("tandem", parent=settings(), deadline=None)
settings.load_profile("tandem")


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


@pytest_asyncio.fixture
async def empty_database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The URL of a database that was never migrated."""
    name = f"empty_{uuid4().hex}"
    await postgres_server.create_database(name)
    yield postgres_server.url(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture(scope="session")
async def kafka_server() -> AsyncIterator[KafkaServer]:
    """The broker that the session shares. Where none can be had the test is skipped, in CI it fails."""
    async with kafka_or_skip() as server:
        yield server


@pytest.fixture
def kafka_bootstrap(kafka_server: KafkaServer) -> str:
    """The addresses of the shared broker; name topics and groups anew in each test."""
    return kafka_server.bootstrap
