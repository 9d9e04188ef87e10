"""Scorer: drafts that decide silently beside the active agreement, and what became of the handoffs that it made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011_simulation"
down_revision = "0009_rejections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    uuid = postgresql.UUID(as_uuid=True)
    op.create_table(
        "handoff",
        sa.Column("id", uuid, primary_key=True),
        sa.Column("contact_id", uuid, nullable=False),
        sa.Column("decided_for", uuid, nullable=False),
        sa.Column("decided_at", instant),
        sa.Column("agreement", sa.Integer),
        sa.Column("reason", sa.Text),
        schema="scorer",
    )
    op.create_index("handoff_contact", "handoff", ["contact_id"], schema="scorer")
    op.create_table(
        "answer",
        sa.Column("id", uuid, primary_key=True),
        sa.Column("handoff_id", uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema="scorer",
    )
    op.create_index("answer_handoff", "answer", ["handoff_id"], schema="scorer")
    op.create_table(
        "shadow",
        sa.Column("id", uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("active_version", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_by", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("compared_until", instant, nullable=False),
        sa.Column("ended_at", instant),
        sa.Column("ended_because", sa.Text),
        sa.CheckConstraint("status IN ('running', 'ended')", name="shadow_status"),
        schema="scorer",
    )
    op.create_index(
        "shadow_one",
        "shadow",
        ["status"],
        unique=True,
        schema="scorer",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_table(
        "simulation",
        sa.Column("id", uuid, primary_key=True),
        sa.Column("shadow_id", uuid),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_at", instant, nullable=False),
        sa.Column("since", instant, nullable=False),
        sa.Column("touched_since", instant, nullable=False),
        sa.Column("until", instant, nullable=False),
        sa.Column("segment", sa.Text, nullable=False),
        sa.Column("capacity", sa.Integer),
        sa.Column("draft_version", sa.Integer),
        sa.Column("draft_title", sa.Text, nullable=False),
        sa.Column("draft_hash", sa.Text, nullable=False),
        sa.Column("draft_text", sa.Text, nullable=False),
        sa.Column("active_version", sa.Integer),
        sa.Column("cursor", uuid),
        sa.Column("contacts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("touches", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", instant),
        sa.Column("started_at", instant),
        sa.Column("finished_at", instant),
        sa.Column("problem", sa.Text),
        sa.CheckConstraint("status IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="simulation_status"),
        schema="scorer",
    )
    op.create_index("simulation_requested_at", "simulation", ["requested_at", "id"], schema="scorer")
    op.create_index(
        "simulation_unfinished",
        "simulation",
        ["requested_at"],
        schema="scorer",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "simulated_lead",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("comparison_id", uuid, nullable=False),
        sa.Column("contact_id", uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("active_at", instant),
        sa.Column("draft_at", instant),
        sa.Column("made_at", instant),
        sa.Column("outcome", sa.Text),
        sa.Column("outcome_reason", sa.Text),
        sa.Column("segment", sa.Text),
        sa.Column("why", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("kind IN ('both', 'gained', 'lost', 'neither')", name="simulated_lead_kind"),
        schema="scorer",
    )
    op.create_index("simulated_lead_comparison", "simulated_lead", ["comparison_id", "kind", "id"], schema="scorer")
    op.create_index("simulated_lead_contact", "simulated_lead", ["contact_id"], schema="scorer")


def downgrade() -> None:
    for table in ("simulated_lead", "simulation", "shadow", "answer", "handoff"):
        op.drop_table(table, schema="scorer")
