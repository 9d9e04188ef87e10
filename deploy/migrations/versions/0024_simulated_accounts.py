"""Scorer: simulations replay accounts; who belongs to one is found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0024_simulated_accounts"
down_revision = "0023_uncompressed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "contact_account",
        "contact",
        ["account_id", "id"],
        schema="scorer",
        postgresql_where=sa.text("account_id IS NOT NULL"),
    )
    # Those that are there were done without.
    op.add_column(
        "simulation", sa.Column("accounts", sa.Boolean(), nullable=False, server_default=sa.false()), schema="scorer"
    )


def downgrade() -> None:
    op.drop_column("simulation", "accounts", schema="scorer")
    op.drop_index("contact_account", "contact", schema="scorer")
