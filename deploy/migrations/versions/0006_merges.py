"""Ingest: merges of contacts, recorded so that they can be undone, and the outbox that tells of them.

The pairs in `pending_merge` stay there: a worker of ingest decides on each as on an event, and deletes it then.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006_merges"
down_revision = "0005_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merge",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("survivor", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("other", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("evidence", postgresql.JSONB, nullable=False),
        sa.Column("aliases", postgresql.JSONB, nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text),
        schema="ingest",
    )
    op.create_index("merge_survivor", "merge", ["survivor"], schema="ingest")
    op.create_index("merge_other", "merge", ["other"], schema="ingest")
    op.create_index("merge_newest", "merge", ["merged_at", "id"], schema="ingest")
    op.create_index(
        "merge_once",
        "merge",
        ["other"],
        unique=True,
        schema="ingest",
        postgresql_where=sa.text("undone_at IS NULL"),
    )
    op.create_table(
        "outbox",
        sa.Column("ordinal", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", postgresql.UUID(as_uuid=True), nullable=False, unique=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="ingest",
    )


def downgrade() -> None:
    op.drop_table("outbox", schema="ingest")
    op.drop_table("merge", schema="ingest")
