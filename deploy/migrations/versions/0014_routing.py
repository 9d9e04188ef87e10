"""Router: what handoffs wait for, whose they are already, and what was given within a day."""

import sqlalchemy as sa
from alembic import op

revision = "0014_routing"
down_revision = "0013_replays"
branch_labels = None
depends_on = None

_OWNED = "account_id IS NOT NULL"


def upgrade() -> None:
    # Neither rewrites the table: a constant default is kept beside it.
    op.add_column("handoff", sa.Column("account_id", sa.UUID), schema="router")
    op.add_column("handoff", sa.Column("waits_for", sa.ARRAY(sa.Text)), schema="router")
    op.add_column("handoff", sa.Column("held_until", sa.DateTime(timezone=True)), schema="router")
    op.add_column("handoff", sa.Column("rank", sa.SmallInteger, nullable=False, server_default="1"), schema="router")
    op.add_column(
        "handoff", sa.Column("released", sa.Boolean, nullable=False, server_default=sa.false()), schema="router"
    )
    # No row has an account yet, and only rows in the queue are in the other: both are built by one quick scan.
    op.create_index(
        "handoff_of_account", "handoff", ["account_id", "decided_at"], schema="router", postgresql_where=sa.text(_OWNED)
    )
    op.create_index(
        "handoff_waiting",
        "handoff",
        ["rank", "decided_at", "id"],
        schema="router",
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.drop_index("handoff_queue", "handoff", schema="router")
    op.create_table(
        "given",
        sa.Column("rep", sa.Text, primary_key=True),
        sa.Column("minute", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        schema="router",
        postgresql_with={"fillfactor": 50},
    )


def downgrade() -> None:
    op.drop_table("given", schema="router")
    op.create_index(
        "handoff_queue", "handoff", ["decided_at", "id"], schema="router", postgresql_where=sa.text("state = 'ready'")
    )
    op.drop_index("handoff_waiting", "handoff", schema="router")
    op.drop_index("handoff_of_account", "handoff", schema="router")
    for name in ("released", "rank", "held_until", "waits_for", "account_id"):
        op.drop_column("handoff", name, schema="router")
