"""Migrations: every process of a deployment may run them at its start."""

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

from services.ingest.store import tables as ingest
from services.router.store import tables as router
from services.scorer.store import tables as scorer
from shared.log import postgres_schema as log
from shared.postgres.engine import open_engine
from shared.postgres.migrate import migrate, pending


async def test_an_empty_database_is_brought_up_to_date(empty_database_url: str) -> None:
    """What is pending is what gets applied, in order, once."""
    waiting = await pending(empty_database_url)

    assert waiting[0] == "0001_log"
    assert await migrate(empty_database_url) == waiting
    assert await pending(empty_database_url) == []
    assert await migrate(empty_database_url) == []


async def test_migrators_wait_for_each_other(empty_database_url: str) -> None:
    """Of several that start together one applies everything and the others nothing."""
    waiting = await pending(empty_database_url)
    applied = await asyncio.gather(*(migrate(empty_database_url) for _ in range(3)))

    assert sorted(applied) == [[], [], waiting]


async def test_a_newer_database_has_nothing_pending(database_url: str) -> None:
    """While a new version rolls out, the old one goes on with the schema that the new one made."""
    async with open_engine(database_url, name="trial") as engine, engine.begin() as connection:
        await connection.execute(text("UPDATE tandem_migration SET version_num = '9999_later'"))

    assert await pending(database_url) == []


@pytest.mark.parametrize(
    ("schema", "metadata"),
    [("ingest", ingest.metadata), ("scorer", scorer.metadata), ("router", router.metadata), ("log", log.metadata)],
)
async def test_tables_and_migrations_agree(database_url: str, schema: str, metadata: MetaData) -> None:
    """Nothing is left to do for the migrated database to be what the code expects."""

    def differences(connection: Connection) -> Any:
        def ours(name: str | None, kind: str, _: Any) -> bool:
            return kind != "schema" or name == schema

        options = {
            "include_schemas": True,
            "include_name": ours,
            "compare_type": True,
            "compare_server_default": True,
        }
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with open_engine(database_url, name="trial") as engine, engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("table", ["scorer.touch", "scorer.contact"])
async def test_large_tables_are_sampled_little(database_url: str, table: str) -> None:
    """No column, a new one neither, has ANALYZE read more than 3,000 rows of them: touches wait meanwhile."""
    targets = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0"
    targets += " AND NOT attisdropped AND coalesce(attstattarget, -1) NOT BETWEEN 0 AND 10"
    async with open_engine(database_url, name="trial") as engine, engine.connect() as connection:
        assert (await connection.scalars(text(targets), {"table": table})).all() == []
