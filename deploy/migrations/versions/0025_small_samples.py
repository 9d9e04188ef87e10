"""Scorer: ANALYZE samples the tables of touches and contacts a tenth as much.

Under load it runs each minute. Reading 30,000 rows from anywhere in them takes seconds, in which touches wait twice as
long; statements find rows by key, so the histograms decide nothing.
"""

from alembic import op

revision = "0025_small_samples"
down_revision = "0024_simulated_accounts"
branch_labels = None
depends_on = None

_TARGET = 10  # entries of a histogram; ANALYZE reads 300 times as many rows as the greatest of a table
_COLUMNS = {
    "touch": (
        *("contact_id", "id", "occurred_at", "received_at", "payload"),
        *("suspect", "trusted", "trusted_by", "trusted_at"),
    ),
    "contact": ("id", "account_id", "state", "cools_at", "agreement", "created_at", "updated_at", "merged_into"),
}
# Told instead of sampled: a sample finds far fewer contacts than there are, the more so the larger the table is, and
# a plan for many touches of each would read the table whole. Ten touches to a contact, four contacts to an account.
_DISTINCT = (("touch", "contact_id", -0.1), ("contact", "account_id", -0.25))


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE scorer.{table} ALTER COLUMN {column} SET STATISTICS {_TARGET}")
    for table, column, share in _DISTINCT:
        op.execute(f"ALTER TABLE scorer.{table} ALTER COLUMN {column} SET (n_distinct = {share})")


def downgrade() -> None:
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE scorer.{table} ALTER COLUMN {column} SET STATISTICS -1")
    for table, column, _ in _DISTINCT:
        op.execute(f"ALTER TABLE scorer.{table} ALTER COLUMN {column} RESET (n_distinct)")
