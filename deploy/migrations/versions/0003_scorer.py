"""Scorer: contacts and their touches, agreements and signatures, positions, outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_scorer"
down_revision = "0002_ingest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA scorer")
    op.create_table(
        "contact",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("account_id", postgresql.UUID(as_uuid=True)),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("cools_at", sa.DateTime(timezone=True)),
        sa.Column("agreement", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="scorer",
        postgresql_with={"fillfactor": 70},
    )
    op.create_index(
        "contact_cools_at",
        "contact",
        ["cools_at"],
        schema="scorer",
        postgresql_where=sa.text("cools_at IS NOT NULL"),
    )
    op.create_index("contact_agreement", "contact", ["agreement"], schema="scorer")
    op.create_table(
        "alias",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), primary_key=True),
        schema="scorer",
    )
    op.create_table(
        "touch",
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        schema="scorer",
    )
    op.create_table(
        "agreement",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status IN ('draft', 'active', 'superseded')", name="agreement_status"),
        schema="scorer",
    )
    op.create_index(
        "agreement_one_active",
        "agreement",
        ["status"],
        unique=True,
        schema="scorer",
        postgresql_where=sa.text("status = 'active'"),
    )
    op.create_index(
        "agreement_content",
        "agreement",
        ["content_hash"],
        unique=True,
        schema="scorer",
        postgresql_where=sa.text("status <> 'superseded'"),
    )
    op.create_table(
        "signature",
        sa.Column("version", sa.Integer, sa.ForeignKey("scorer.agreement.version"), primary_key=True),
        sa.Column("side", sa.Text, primary_key=True),
        sa.Column("signed_by", sa.Text, nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.CheckConstraint("side IN ('marketing', 'sales')", name="signature_side"),
        schema="scorer",
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
        schema="scorer",
        postgresql_with={"fillfactor": 50},
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
        schema="scorer",
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA scorer CASCADE")
