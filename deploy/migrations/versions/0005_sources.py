"""Ingest: sources, their keys and quotas."""

revision = "0005_sources"
down_revision = "0004_router"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
