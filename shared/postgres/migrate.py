"""Migrations: bring a database to the schema that this version of the code needs.

The revisions lie in `deploy/migrations`, beside the packages in a checkout and in a wheel alike.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, text

import shared
from shared.explained import ExplainedError
from shared.ids import derived_id
from shared.postgres.engine import open_engine

VERSION_TABLE = "tandem_migration"
VERSION_SCHEMA = "public"

_DIRECTORY = Path(shared.__file__).parent.parent / "deploy" / "migrations"
_LOCK_KEY = derived_id("migrate").int & 0x7FFF_FFFF_FFFF_FFFF
_NO_LIMIT = timedelta()  # a migration takes the time it takes
_LOCK_TIMEOUT = "5s"  # a migration that waits for a table lock holds up everybody behind it


class SchemaOutdated(ExplainedError):
    """Raised when the database lacks revisions that this version of the code needs."""

    def __init__(self, revisions: list[str]) -> None:
        super().__init__(f"The database lacks {', '.join(revisions)}. Run `tandem db migrate`, then start again.")
        self.revisions = revisions


async def migrate(url: str, *, until: str = "heads") -> list[str]:
    """Apply what is missing, up to a revision, and return the revisions applied, oldest first.

    Migrators wait for each other, so every process of a deployment may call this at once.
    """
    async with (
        open_engine(url, name="tandem-migrate", pool_size=1, statement_timeout=_NO_LIMIT) as engine,
        engine.connect() as connection,
    ):
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK_KEY})
        await connection.execute(text(f"SET lock_timeout = '{_LOCK_TIMEOUT}'"))
        await connection.commit()  # the advisory lock and the setting belong to the session
        return await connection.run_sync(_upgrade, until)


async def pending(url: str) -> list[str]:
    """Return the revisions that `migrate` would apply, oldest first.

    A database that a newer version has migrated has nothing pending.
    """
    async with open_engine(url, name="tandem-migrate", pool_size=1) as engine, engine.connect() as connection:
        return await connection.run_sync(_missing)


async def require_migrated(url: str) -> None:
    """Return when the database has all that this version needs. Raises SchemaOutdated."""
    if missing := await pending(url):
        raise SchemaOutdated(missing)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_DIRECTORY))
    return config


def _upgrade(connection: Connection, until: str) -> list[str]:
    config = _config()
    applied: list[str] = []
    config.attributes.update(connection=connection, applied=applied)
    command.upgrade(config, until)
    connection.commit()
    return applied


def _missing(connection: Connection) -> list[str]:
    options: dict[str, Any] = {"version_table": VERSION_TABLE, "version_table_schema": VERSION_SCHEMA}
    current = MigrationContext.configure(connection, opts=options).get_current_heads()
    try:
        steps = list(ScriptDirectory.from_config(_config()).iterate_revisions("heads", current))
    except (CommandError, ResolutionError):
        return []
    return [step.revision for step in reversed(steps)]
