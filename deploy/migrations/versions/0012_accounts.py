"""Scorer: what the contacts of one company did together."""

revision = "0012_accounts"
down_revision = "0011_simulation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
