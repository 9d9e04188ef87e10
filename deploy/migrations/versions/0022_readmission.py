"""Ingest: who was erased may come back by own will, and it is kept who saw to that."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, UUID

revision = "0022_readmission"
down_revision = "0019_agreements"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "readmission",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("contact_id", UUID(as_uuid=True), nullable=False),
        sa.Column("erasure_ids", ARRAY(UUID(as_uuid=True)), nullable=False),
        sa.Column("hashes", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        schema="ingest",
    )
    op.create_index("readmission_newest", "readmission", ["at", "id"], schema="ingest")
    op.create_index("readmission_contact", "readmission", ["contact_id"], schema="ingest")


def downgrade() -> None:
    op.drop_table("readmission", schema="ingest")
