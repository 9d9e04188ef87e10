"""Router: endpoints that are kept apart, and deliveries that are replayed.

Columns only, with constant defaults, and one partial index: no table is rewritten.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0015_delivery"
down_revision = "0014_routing"
branch_labels = None
depends_on = None

_ENDPOINT = (
    ("revision", sa.Integer, "0"),
    ("options", JSONB, "{}"),
    ("retired", JSONB, "[]"),
    ("private", sa.Text, None),
    ("public_key", sa.Text, None),
    ("rate", sa.Float, None),
    ("rate_at", sa.DateTime(timezone=True), None),
    ("concurrency", sa.Integer, None),
    ("ordered", sa.Boolean, sa.false()),
    ("failures", sa.Integer, "0"),
    ("failing_since", sa.DateTime(timezone=True), None),
    ("opens", sa.Integer, "0"),
    ("open_until", sa.DateTime(timezone=True), None),
    ("disabled_because", sa.Text, None),
)
_ATTEMPT = ("phases", "request_headers")


def upgrade() -> None:
    for name, kind, default in _ENDPOINT:
        column = sa.Column(name, kind, nullable=default is None, server_default=default)
        op.add_column("endpoint", column, schema="router")
    for name in _ATTEMPT:
        op.add_column("attempt", sa.Column(name, JSONB), schema="router")
    op.add_column("delivery", sa.Column("released_at", sa.DateTime(timezone=True)), schema="router")
    # What tells of an endpoint is about nobody.
    op.alter_column("delivery", "contact_id", nullable=True, schema="router")
    op.create_index(
        "delivery_dead",
        "delivery",
        ["created_at", "id"],
        schema="router",
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_table(
        "replay",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("wanted", JSONB, nullable=False),
        sa.Column("rate", sa.Float, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("looked_at", sa.Integer, nullable=False, server_default="0"),
        sa.Column("replayed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("after_created_at", sa.DateTime(timezone=True)),
        sa.Column("after_id", UUID(as_uuid=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("state IN ('running', 'done', 'cancelled')", name="replay_state"),
        schema="router",
    )
    op.create_index("replay_due", "replay", ["due_at"], schema="router", postgresql_where=sa.text("state = 'running'"))


def downgrade() -> None:
    op.drop_table("replay", schema="router")
    op.drop_index("delivery_dead", "delivery", schema="router")
    op.execute("DELETE FROM router.delivery WHERE contact_id IS NULL")
    op.alter_column("delivery", "contact_id", nullable=False, schema="router")
    op.drop_column("delivery", "released_at", schema="router")
    for name in reversed(_ATTEMPT):
        op.drop_column("attempt", name, schema="router")
    for name, _, _ in reversed(_ENDPOINT):
        op.drop_column("endpoint", name, schema="router")
