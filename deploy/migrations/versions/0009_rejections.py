"""Ingest: what was set aside, to be looked through and replayed."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_rejections"
down_revision = "0008_erasure"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "rejection",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("item", sa.Integer),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("original", sa.LargeBinary, nullable=False),
        sa.Column("after", sa.LargeBinary, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("incomplete", sa.Boolean, nullable=False),
        sa.Column("received_at", instant, nullable=False),
        sa.Column("first_seen", instant, nullable=False),
        sa.Column("last_seen", instant, nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Boolean, nullable=False),
        sa.Column("replays", sa.Integer, nullable=False),
        sa.Column("replayed_at", instant),
        sa.Column("replayed_by", sa.Text),
        schema="ingest",
    )
    op.create_index("rejection_first_seen", "rejection", ["first_seen", "id"], schema="ingest")
    op.create_index("rejection_last_seen", "rejection", ["last_seen"], schema="ingest")
    op.create_table(
        "replay",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", instant, nullable=False),
        sa.Column("wanted", postgresql.JSONB, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("replayed", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("last_first_seen", instant),
        sa.Column("last_id", postgresql.UUID(as_uuid=True)),
        sa.Column("next_at", instant, nullable=False),
        sa.Column("finished_at", instant),
        schema="ingest",
    )
    op.create_index(
        "replay_unfinished",
        "replay",
        ["requested_at", "id"],
        schema="ingest",
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("replay", schema="ingest")
    op.drop_table("rejection", schema="ingest")
