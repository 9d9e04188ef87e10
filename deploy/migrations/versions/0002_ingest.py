"""Ingest: aliases, pairs of contacts that are one person, positions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_ingest"
down_revision = "0001_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA ingest")
    op.create_table(
        "alias",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("kind IN ('anonymous', 'user', 'email')", name="alias_kind"),
        schema="ingest",
    )
    op.create_index("alias_contact", "alias", ["contact_id", "kind"], schema="ingest")
    op.create_index(
        "alias_one_user",
        "alias",
        ["contact_id"],
        unique=True,
        schema="ingest",
        postgresql_where=sa.text("kind = 'user'"),
    )
    op.create_table(
        "pending_merge",
        sa.Column("survivor", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("other", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("evidence", postgresql.JSONB, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        schema="ingest",
    )
    op.create_table(
        "position",
        sa.Column("consumer_group", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("owner_epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="ingest",
        postgresql_with={"fillfactor": 50},
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA ingest CASCADE")
