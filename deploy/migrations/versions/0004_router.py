"""The router: team, handoffs and what became of them, deliveries and their attempts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0004_router"
down_revision = "0003_scorer"
branch_labels = None
depends_on = None

EMPTY_TEAM = '{"reps": [], "pools": [], "rules": [], "default_pool": null, "endpoints": []}'


def upgrade() -> None:
    op.execute("CREATE SCHEMA router")
    _create_transport()
    _create_team()
    _create_handoffs()
    _create_deliveries()


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_transport() -> None:
    op.create_table(
        "position",
        sa.Column("consumer_group", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("next_offset", sa.BigInteger, nullable=False),
        sa.Column("owner_epoch", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="router",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "outbox",
        sa.Column("ordinal", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("id", UUID(as_uuid=True), nullable=False, unique=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="router",
    )


def _create_team() -> None:
    op.create_table(
        "team",
        sa.Column("single", sa.Boolean, sa.CheckConstraint("single", name="team_is_one_row"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("owed", JSONB, nullable=False),
        _instant("changed_at", nullable=True),
        sa.Column("changed_by", sa.Text),
        schema="router",
        postgresql_with={"fillfactor": 50},
    )
    op.execute(f"INSERT INTO router.team (single, version, document, owed) VALUES (true, 0, '{EMPTY_TEAM}', '{{}}')")
    op.create_table(
        "endpoint",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()),
        _instant("disabled_at", nullable=True),
        _instant("paused_until", nullable=True),
        schema="router",
    )


def _create_handoffs() -> None:
    op.create_table(
        "handoff",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("contact_id", UUID(as_uuid=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        _instant("state_since"),
        sa.Column("pool", sa.Text),
        sa.Column("team_version", sa.Integer),
        sa.Column("rep", sa.Text),
        sa.Column("assignments", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("steps", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("waiting_decision", JSONB),
        sa.Column("reason", sa.Text),
        _instant("decided_at"),
        _instant("created_at"),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text),
        schema="router",
        postgresql_with={"fillfactor": 80},
    )
    op.create_index("handoff_newest", "handoff", ["created_at", "id"], schema="router")
    op.create_index("handoff_of_contact", "handoff", ["contact_id"], schema="router")
    op.create_index(
        "handoff_queue", "handoff", ["decided_at", "id"], schema="router", postgresql_where=sa.text("state = 'ready'")
    )
    op.create_index(
        "handoff_open",
        "handoff",
        ["rep"],
        schema="router",
        postgresql_where=sa.text("state IN ('assigned', 'accepted', 'reassigned', 'escalated')"),
    )
    op.create_table(
        "handoff_event",
        _of_handoff(),
        sa.Column("number", sa.SmallInteger, primary_key=True),
        _instant("at"),
        sa.Column("step", sa.Text),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("rep", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("decision", JSONB),
        schema="router",
    )
    op.create_table(
        "opted_out",
        sa.Column("contact_id", UUID(as_uuid=True), primary_key=True),
        _instant("at"),
        schema="router",
    )


def _of_handoff() -> sa.Column[object]:
    return sa.Column(
        "handoff_id", UUID(as_uuid=True), sa.ForeignKey("router.handoff.id", ondelete="CASCADE"), primary_key=True
    )


def _create_deliveries() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, sa.ForeignKey("router.endpoint.name"), nullable=False),
        sa.Column(
            "handoff_id", UUID(as_uuid=True), sa.ForeignKey("router.handoff.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("contact_id", UUID(as_uuid=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        _instant("due_at"),
        sa.Column("lease_id", UUID(as_uuid=True)),
        _instant("lease_until", nullable=True),
        sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failures", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("last_outcome", sa.Text),
        _instant("created_at"),
        _instant("ended_at", nullable=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("traceparent", sa.Text),
        schema="router",
        postgresql_with={
            "fillfactor": 70,
            "autovacuum_vacuum_scale_factor": 0.01,
            "autovacuum_vacuum_cost_delay": 0,
        },
    )
    op.create_index(
        "delivery_due",
        "delivery",
        ["endpoint", "due_at", "id"],
        schema="router",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "delivery_leased",
        "delivery",
        ["lease_until"],
        schema="router",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index("delivery_newest", "delivery", ["created_at", "id"], schema="router")
    op.create_index("delivery_of_handoff", "delivery", ["handoff_id"], schema="router")
    op.create_index(
        "delivery_of_contact",
        "delivery",
        ["contact_id"],
        schema="router",
        postgresql_where=sa.text("state IN ('pending', 'sending')"),
    )
    op.create_index("delivery_message", "delivery", ["message_id", "endpoint"], schema="router", unique=True)
    op.create_table(
        "attempt",
        sa.Column(
            "delivery_id", UUID(as_uuid=True), sa.ForeignKey("router.delivery.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True),
        _instant("started_at"),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        _instant("next_attempt_at", nullable=True),
        schema="router",
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA router CASCADE")
