"""Ingest: sources, their keys, how much each has sent on a day."""

import sqlalchemy as sa
from alembic import op

revision = "0005_sources"
down_revision = "0004_router"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column(
            "kind", sa.Text, sa.CheckConstraint("kind IN ('web', 'campaign')", name="source_kind"), nullable=False
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("secrets", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("mapping", sa.Text, nullable=False),
        sa.Column("requires_consent", sa.Text, nullable=False),
        sa.Column("rate", sa.Double),
        sa.Column("burst", sa.Integer),
        sa.Column("daily_quota", sa.BigInteger),
        sa.Column("max_body_bytes", sa.Integer),
        sa.Column("max_batch_events", sa.Integer),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        schema="ingest",
    )
    op.create_table(
        "source_key",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("source", sa.Text, sa.ForeignKey("ingest.source.name", ondelete="CASCADE"), nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        schema="ingest",
    )
    op.create_index("source_key_source", "source_key", ["source"], schema="ingest")
    op.create_table(
        "source_usage",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("events", sa.BigInteger, nullable=False),
        schema="ingest",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "source_version",
        sa.Column("single", sa.Boolean, sa.CheckConstraint("single", name="one_source_version"), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        schema="ingest",
    )
    op.execute("INSERT INTO ingest.source_version (single, version) VALUES (true, 0)")


def downgrade() -> None:
    for table in ("source_version", "source_usage", "source_key", "source"):
        op.drop_table(table, schema="ingest")
