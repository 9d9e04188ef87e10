"""Erasure: what remains of an erased contact in each service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0008_erasure"
down_revision = "0007_recounting"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for schema in ("ingest", "scorer", "router"):
        op.create_table(
            "erased",
            sa.Column("contact_id", UUID(as_uuid=True), primary_key=True),
            sa.Column("erasure_id", UUID(as_uuid=True), nullable=False),
            sa.Column("at", sa.DateTime(timezone=True), nullable=False),
            schema=schema,
        )
    op.create_table(
        "erased_touches",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("touches", sa.BigInteger, nullable=False),
        schema="scorer",
    )
    op.create_table(
        "erased_alias",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        schema="ingest",
    )
    op.create_table(
        "pepper",
        sa.Column("single", sa.Boolean, sa.CheckConstraint("single", name="pepper_is_one_row"), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        schema="ingest",
    )
    # 32 bytes of PostgreSQL's strong random numbers, of which a UUID of version 4 holds 122 bits.
    op.execute(
        "INSERT INTO ingest.pepper (single, value)"
        " SELECT true, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) ||"
        " uuid_send(gen_random_uuid()))"
    )
    # An erasure is told to endpoints by a delivery that is about no handoff.
    op.alter_column("delivery", "handoff_id", nullable=True, schema="router")
    # PostgreSQL notes a constant default and rewrites no row.
    op.add_column(
        "delivery", sa.Column("unsure", sa.Boolean, nullable=False, server_default=sa.false()), schema="router"
    )


def downgrade() -> None:
    op.execute("DELETE FROM router.delivery WHERE handoff_id IS NULL")
    op.drop_column("delivery", "unsure", schema="router")
    op.alter_column("delivery", "handoff_id", nullable=False, schema="router")
    op.drop_table("pepper", schema="ingest")
    op.drop_table("erased_alias", schema="ingest")
    op.drop_table("erased_touches", schema="scorer")
    for schema in ("ingest", "scorer", "router"):
        op.drop_table("erased", schema=schema)
