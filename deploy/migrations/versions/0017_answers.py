"""Router: answers by link and by the CRM."""

revision = "0017_answers"
down_revision = "0016_clock"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
