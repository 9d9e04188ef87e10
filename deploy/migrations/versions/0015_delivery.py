"""Router: endpoints that are kept apart, and deliveries that are replayed."""

revision = "0015_delivery"
down_revision = "0014_routing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
