"""Ingest: merges of contacts, recorded so that they can be undone, and the outbox that tells of them."""

revision = "0006_merges"
down_revision = "0005_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
