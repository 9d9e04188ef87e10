"""Scorer: what the contacts of one company did together. Router: what marketing was told to nurture."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_accounts"
down_revision = "0011_simulation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "account",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("domain", sa.Text, nullable=False, server_default=""),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("rank", sa.Float(53), nullable=False, server_default=sa.text("'-infinity'")),
        sa.Column("cools_at", instant),
        schema="scorer",
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("account_rank", "account", ["rank", "id"], schema="scorer")
    op.create_index(
        "account_cools_at", "account", ["cools_at"], schema="scorer", postgresql_where=sa.text("cools_at IS NOT NULL")
    )
    op.create_table(
        "account_contact",
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("account_id", postgresql.UUID(as_uuid=True), nullable=False),
        schema="scorer",
    )
    op.create_index("account_contact_account", "account_contact", ["account_id"], schema="scorer")
    op.create_table(
        "account_due",
        sa.Column("ordinal", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("account_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("at", instant, nullable=False),
        schema="scorer",
        postgresql_with={"autovacuum_vacuum_scale_factor": 0.01, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "nurture",
        sa.Column("message_id", sa.Text, primary_key=True),
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("at", instant, nullable=False),
        schema="router",
    )
    op.create_index("nurture_of_contact", "nurture", ["contact_id"], schema="router")


def downgrade() -> None:
    op.drop_table("nurture", schema="router")
    op.drop_table("account_due", schema="scorer")
    op.drop_table("account_contact", schema="scorer")
    op.drop_table("account", schema="scorer")
