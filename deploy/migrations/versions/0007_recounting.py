"""Scorer: contacts merged into others, and verdicts on touches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_recounting"
down_revision = "0006_merges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contact", sa.Column("merged_into", postgresql.UUID(as_uuid=True)), schema="scorer")
    # Columns without a default: PostgreSQL notes them and rewrites no row.
    op.add_column("touch", sa.Column("suspect", sa.Text), schema="scorer")
    op.add_column("touch", sa.Column("trusted", sa.Boolean), schema="scorer")
    op.add_column("touch", sa.Column("trusted_by", sa.Text), schema="scorer")
    op.add_column("touch", sa.Column("trusted_at", sa.DateTime(timezone=True)), schema="scorer")
    op.create_table(
        "merge",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("survivor", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("other", postgresql.UUID(as_uuid=True), nullable=False),
        sa.Column("survivor_arming", sa.LargeBinary),
        sa.Column("other_arming", sa.LargeBinary),
        sa.Column("merged_at", sa.DateTime(timezone=True)),
        sa.Column("unmerged_at", sa.DateTime(timezone=True)),
        schema="scorer",
    )


def downgrade() -> None:
    op.drop_table("merge", schema="scorer")
    for column in ("trusted_at", "trusted_by", "trusted", "suspect"):
        op.drop_column("touch", column, schema="scorer")
    op.drop_column("contact", "merged_into", schema="scorer")
