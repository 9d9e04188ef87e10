"""Router: rules, hours, caps and turns."""

revision = "0014_routing"
down_revision = "0013_replays"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
