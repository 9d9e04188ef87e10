"""Router: the clock of each handoff.

What is open when this runs has no clock yet: its columns are empty, and the router starts it then.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016_clock"
down_revision = "0015_delivery"
branch_labels = None
depends_on = None

QUEUED = "state IN ('ready', 'expired')"
CLOCKED = "state IN ('ready', 'assigned', 'reassigned', 'expired')"


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    for name in ("clock_from", "given_at", "answered_at", "due_at"):
        op.add_column("handoff", sa.Column(name, instant), schema="router")
    op.add_column(
        "handoff", sa.Column("clock_version", sa.Integer, nullable=False, server_default="0"), schema="router"
    )
    op.add_column(
        "handoff",
        sa.Column("owners", postgresql.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        schema="router",
    )
    op.create_index(
        "handoff_due",
        "handoff",
        ["due_at", "id"],
        schema="router",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "handoff_clock", "handoff", ["clock_version", "id"], schema="router", postgresql_where=sa.text(CLOCKED)
    )
    # What expired waits in the queue too.
    op.drop_index("handoff_waiting", table_name="handoff", schema="router")
    op.create_index(
        "handoff_waiting", "handoff", ["rank", "decided_at", "id"], schema="router", postgresql_where=sa.text(QUEUED)
    )


def downgrade() -> None:
    for index in ("handoff_waiting", "handoff_clock", "handoff_due"):
        op.drop_index(index, table_name="handoff", schema="router")
    op.create_index(
        "handoff_waiting",
        "handoff",
        ["rank", "decided_at", "id"],
        schema="router",
        postgresql_where=sa.text("state = 'ready'"),
    )
    for name in ("owners", "clock_version", "due_at", "answered_at", "given_at", "clock_from"):
        op.drop_column("handoff", name, schema="router")
