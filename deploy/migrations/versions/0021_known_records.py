"""Router: which record of a system without a key of ours is a contact's."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021_known_records"
down_revision = "0022_readmission"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "known_record",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("contact_id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("remote_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        schema="router",
    )
    op.create_index("known_record_of_contact", "known_record", ["contact_id"], schema="router")


def downgrade() -> None:
    op.drop_table("known_record", schema="router")
