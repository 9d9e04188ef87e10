"""Scorer: drafts that decide silently beside the active agreement."""

revision = "0011_simulation"
down_revision = "0010_history"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
