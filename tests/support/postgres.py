"""The PostgreSQL server of a test session: our own, or the one that TANDEM_TEST_DATABASE_URL names."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
import pytest
from sqlalchemy import URL, make_url

from shared.postgres.embedded import EmbeddedPostgres

EXTERNAL_URL = "TANDEM_TEST_DATABASE_URL"
_QUOTE = '"'


class PostgresServer:
    """A server on which tests make and drop databases, and which they may take down."""

    def __init__(self, url: str, embedded: EmbeddedPostgres | None = None) -> None:
        self._url: URL = make_url(url)
        self._embedded = embedded

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        url = self._url.set(drivername="postgresql+asyncpg", database=database)
        return url.render_as_string(hide_password=False)

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of `template` if one is named; nobody may be connected to that."""
        # FILE_COPY takes milliseconds where the default writes every page of the template to the log.
        copy = f" TEMPLATE {_quoted(template)} STRATEGY FILE_COPY" if template else ""
        await self._execute(f"CREATE DATABASE {_quoted(name)}{copy}")

    async def drop_database(self, name: str) -> None:
        """Drop a database and cut off whoever is connected to it; one that does not exist is fine."""
        await self._execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    async def hurry(self) -> None:
        """Have the server not wait for its disk: no test cuts the power, and a SIGKILL takes nothing along."""
        for setting in ("fsync", "full_page_writes"):
            await self._execute(f"ALTER SYSTEM SET {setting} = off")
        await self._execute("SELECT pg_reload_conf()")

    async def stop(self) -> None:
        """Stop the server in good order."""
        await self._own().stop()

    async def kill(self) -> None:
        """Kill the server with SIGKILL."""
        await self._own().kill()

    async def start(self) -> None:
        """Start the server again, on the same port."""
        await self._own().start()

    def _own(self) -> EmbeddedPostgres:
        if self._embedded is None:
            pytest.skip(f"the server that {EXTERNAL_URL} names is not ours to take down")
        return self._embedded

    async def _execute(self, statement: str) -> None:
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(plain)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    """Run a server in a temporary directory, or reach the one that the environment names."""
    if url := os.environ.get(EXTERNAL_URL):
        yield PostgresServer(url)
        return
    directory = Path(mkdtemp(prefix="tandem-postgres-"))
    try:
        async with EmbeddedPostgres(directory, max_connections=200, settings={"shared_buffers": "32MB"}) as embedded:
            server = PostgresServer(embedded.database_url("postgres"), embedded)
            await server.hurry()
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _quoted(name: str) -> str:
    return _QUOTE + name.replace(_QUOTE, _QUOTE * 2) + _QUOTE
