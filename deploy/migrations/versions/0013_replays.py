"""Scorer: agreements that count anew before they come into force."""

revision = "0013_replays"
down_revision = "0012_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
