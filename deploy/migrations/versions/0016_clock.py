"""Router: the clock of each handoff."""

revision = "0016_clock"
down_revision = "0015_delivery"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
