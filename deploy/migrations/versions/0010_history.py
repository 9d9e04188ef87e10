"""Scorer: how contacts' scores went."""

revision = "0010_history"
down_revision = "0009_rejections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
