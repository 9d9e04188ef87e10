"""Alembic's entry point. `shared.postgres.migrate` opens the connection and calls it; nothing else does."""

from typing import Any

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("Run `tandem db migrate`: it opens the connection and takes the lock that migrations need.")

applied: list[str] = context.config.attributes.setdefault("applied", [])


def record_step(*, step: Any, **_: Any) -> None:
    applied.append(step.up_revision_id)


context.configure(
    connection=connection,
    target_metadata=None,  # migrations are written by hand
    version_table="tandem_migration",
    version_table_schema="public",
    on_version_apply=record_step,
)
with context.begin_transaction():
    context.run_migrations()
