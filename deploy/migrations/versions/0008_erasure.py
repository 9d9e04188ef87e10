"""Erasure: what remains of an erased contact in each service."""

revision = "0008_erasure"
down_revision = "0007_recounting"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
