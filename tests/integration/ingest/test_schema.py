"""The tables that the code declares are those that the migrations create."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.ingest.store.tables import metadata
from tests.integration.ingest.installed import Ingest


async def test_tables_and_migrations_agree(ingest: Ingest) -> None:
    """Nothing is left to do for the migrated database to be what the code expects."""

    def differences(connection: Connection) -> Any:
        def ours(name: str | None, kind: str, _: Any) -> bool:
            return kind != "schema" or name == "ingest"

        options = {"include_schemas": True, "include_name": ours, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with ingest.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
