"""Ingest: what was set aside, to be looked through and replayed."""

revision = "0009_rejections"
down_revision = "0008_erasure"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
