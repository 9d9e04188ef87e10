"""Router: answers with objections and amounts, by link and by the CRM."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017_answers"
down_revision = "0016_clock"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.add_column("handoff_event", sa.Column("objection", sa.Text), schema="router")
    op.add_column("handoff_event", sa.Column("amount", sa.Numeric), schema="router")
    op.add_column("handoff_event", sa.Column("currency", sa.Text), schema="router")
    op.create_table(
        "used_link",
        sa.Column(
            "handoff_id",
            postgresql.UUID(as_uuid=True),
            sa.ForeignKey("router.handoff.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("assignment", sa.SmallInteger, primary_key=True),
        sa.Column("step", sa.Text, primary_key=True),
        sa.Column("used_at", instant, nullable=False),
        schema="router",
    )
    op.create_table(
        "crm_hook",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("document", postgresql.JSONB, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("changed_at", instant, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        schema="router",
    )
    op.create_table(
        "crm_answer",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("received_at", instant, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("handoff_id", postgresql.UUID(as_uuid=True)),
        sa.Column("status", sa.Text),
        sa.Column("step", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        schema="router",
    )
    op.create_index("crm_answer_newest", "crm_answer", ["received_at", "id"], schema="router")
    op.create_index(
        "crm_answer_of_handoff",
        "crm_answer",
        ["handoff_id"],
        schema="router",
        postgresql_where=sa.text("handoff_id IS NOT NULL"),
    )


def downgrade() -> None:
    for table in ("crm_answer", "crm_hook", "used_link"):
        op.drop_table(table, schema="router")
    for name in ("currency", "amount", "objection"):
        op.drop_column("handoff_event", name, schema="router")
