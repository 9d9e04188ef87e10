"""Router: briefs and decisions are kept as they are; compressing them was a quarter of the server's work on each."""

from alembic import op

revision = "0023_uncompressed"
down_revision = "0021_known_records"
branch_labels = None
depends_on = None

_COLUMNS = (("handoff", "document"), ("handoff_event", "decision"), ("delivery", "body"))


def upgrade() -> None:
    _store("EXTERNAL")  # rows that are there stay compressed, and readable


def downgrade() -> None:
    _store("EXTENDED")


def _store(how: str) -> None:
    for table, column in _COLUMNS:
        op.execute(f"ALTER TABLE router.{table} ALTER COLUMN {column} SET STORAGE {how}")
