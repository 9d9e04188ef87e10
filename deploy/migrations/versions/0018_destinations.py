"""Router: endpoints that speak the language of a CRM."""

revision = "0018_destinations"
down_revision = "0017_answers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
