"""Scorer: contacts merged into others, and verdicts on touches."""

revision = "0007_recounting"
down_revision = "0006_merges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
