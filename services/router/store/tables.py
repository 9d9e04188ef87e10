"""The tables of the router's schema, as the migrations make them."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from shared.postgres.outbox import outbox_table
from shared.postgres.positions import position_table

metadata = MetaData(schema="router")

position = position_table(metadata)
outbox = outbox_table(metadata)

# One row. Whoever assigns handoffs or changes the team holds its lock, so capacity and turns are never raced for.
team = Table(
    "team",
    metadata,
    Column("single", Boolean, CheckConstraint("single", name="team_is_one_row"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("owed", JSONB, nullable=False),
    Column("changed_at", DateTime(timezone=True)),
    Column("changed_by", Text),
    postgresql_with={"fillfactor": 50},
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("name", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # sealed; as it is while there is no key to seal it with
    Column("enabled", Boolean, nullable=False),  # as the team says
    Column("removed", Boolean, nullable=False, server_default=false()),
    Column("disabled_at", DateTime(timezone=True)),
    Column("paused_until", DateTime(timezone=True)),  # by the receiver's Retry-After
    Column("revision", Integer, nullable=False, server_default=text("0")),  # grows whenever an attempt would differ
    Column("options", JSONB, nullable=False, server_default=text("'{}'")),  # the endpoint without its secrets
    Column("retired", JSONB, nullable=False, server_default=text("'[]'")),  # secrets, sealed, and until when they sign
    Column("private", Text),  # sealed: what the options need and nobody is shown
    Column("public_key", Text),
    Column("rate", Float),
    Column("rate_at", DateTime(timezone=True)),  # when everything given so far is paid for
    Column("concurrency", Integer),
    Column("ordered", Boolean, nullable=False, server_default=false()),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("failing_since", DateTime(timezone=True)),
    Column("opens", Integer, nullable=False, server_default=text("0")),  # of the breaker, in a row
    Column("open_until", DateTime(timezone=True)),
    Column("disabled_because", Text),
)

# What was handed over, and where it stands. `document` is the record as it came: it may hold what jsonb refuses.
handoff = Table(
    "handoff",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("contact_id", UUID(as_uuid=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("state_since", DateTime(timezone=True), nullable=False),
    Column("pool", Text),
    Column("team_version", Integer),  # under which the pool was chosen
    Column("rep", Text),
    Column("assignments", SmallInteger, nullable=False, server_default=text("0")),
    Column("steps", SmallInteger, nullable=False, server_default=text("0")),
    Column("rank", SmallInteger, nullable=False, server_default=text("1")),  # in the queue; 0: asked to talk to sales
    Column("waits_for", ARRAY(Text)),  # pools and reps; absent: nobody has looked at it since it came into the queue
    Column("held_until", DateTime(timezone=True)),  # by a rule
    Column("released", Boolean, nullable=False, server_default=false()),  # from what holds it
    Column("account_id", UUID(as_uuid=True)),
    Column("waiting_decision", JSONB),  # why nobody in the pool could have it, when that was last decided
    Column("reason", Text),  # of a rejection
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("traceparent", Text),
    Column("clock_from", DateTime(timezone=True)),  # since when the team's clock runs; absent: not started yet
    Column("given_at", DateTime(timezone=True)),  # to the rep who has it
    Column("answered_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),  # when the clock does something if nobody answers
    Column("clock_version", Integer, nullable=False, server_default=text("0")),  # of the team that `due_at` is of
    Column("owners", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # who had it before
    Index("handoff_newest", "created_at", "id"),
    Index("handoff_of_contact", "contact_id"),
    Index("handoff_of_account", "account_id", "decided_at", postgresql_where=text("account_id IS NOT NULL")),
    Index("handoff_waiting", "rank", "decided_at", "id", postgresql_where=text("state IN ('ready', 'expired')")),
    Index("handoff_due", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
    Index(
        "handoff_clock",
        "clock_version",
        "id",
        postgresql_where=text("state IN ('ready', 'assigned', 'reassigned', 'expired')"),
    ),
    Index(
        "handoff_open",
        "rep",
        postgresql_where=text("state IN ('assigned', 'accepted', 'reassigned', 'escalated')"),
    ),
    postgresql_with={"fillfactor": 80},
)

handoff_event = Table(
    "handoff_event",
    metadata,
    Column("handoff_id", UUID(as_uuid=True), ForeignKey("router.handoff.id", ondelete="CASCADE"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("step", Text),  # absent: the handoff came in
    Column("before", Text),
    Column("after", Text, nullable=False),
    Column("rep", Text),
    Column("by", Text, nullable=False),
    Column("reason", Text),
    Column("note", Text),
    Column("decision", JSONB),  # of an assignment
    Column("objection", Text),
    Column("amount", Numeric),
    Column("currency", Text),
)

# Links of messages that were used: each once for each time that the handoff was given to somebody.
used_link = Table(
    "used_link",
    metadata,
    Column("handoff_id", UUID(as_uuid=True), ForeignKey("router.handoff.id", ondelete="CASCADE"), primary_key=True),
    Column("assignment", SmallInteger, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("used_at", DateTime(timezone=True), nullable=False),
)

# How the webhooks of an endpoint's CRM are to be understood.
crm_hook = Table(
    "crm_hook",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("secret", Text, nullable=False),  # sealed
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
)

# What CRMs sent, and what came of it.
crm_answer = Table(
    "crm_answer",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),  # derived from the event's, so that a repeat is told
    Column("endpoint", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("handoff_id", UUID(as_uuid=True)),
    Column("status", Text),
    Column("step", Text),
    Column("body", LargeBinary, nullable=False),  # empty once its contact was erased
    Index("crm_answer_newest", "received_at", "id"),
    Index("crm_answer_of_handoff", "handoff_id", postgresql_where=text("handoff_id IS NOT NULL")),
)

# How many handoffs each rep was given within a minute: what caps look back at, kept a little longer than a day.
given = Table(
    "given",
    metadata,
    Column("rep", Text, primary_key=True),
    Column("minute", DateTime(timezone=True), primary_key=True),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("count", Integer, nullable=False),
    postgresql_with={"fillfactor": 50},
)

opted_out = Table(
    "opted_out",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)

# What remains of an erased contact, so that what is still under way is known as its.
erased = Table(
    "erased",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("erasure_id", UUID(as_uuid=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("endpoint", Text, ForeignKey("router.endpoint.name"), nullable=False),
    # Absent: it tells of an erasure.
    Column("handoff_id", UUID(as_uuid=True), ForeignKey("router.handoff.id", ondelete="CASCADE")),
    Column("contact_id", UUID(as_uuid=True)),  # absent: it tells of an endpoint
    Column("state", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("lease_id", UUID(as_uuid=True)),
    Column("lease_until", DateTime(timezone=True)),
    Column("cancelled", Boolean, nullable=False, server_default=false()),  # while an attempt was under way
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("failures", SmallInteger, nullable=False, server_default=text("0")),  # in a row, since created or replayed
    Column("last_outcome", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    Column("body", LargeBinary, nullable=False),  # empty once its contact was erased
    Column("traceparent", Text),
    Column("unsure", Boolean, nullable=False, server_default=false()),  # whoever sent it died: it may have arrived
    Column("released_at", DateTime(timezone=True)),  # when it was last replayed
    Index("delivery_due", "endpoint", "due_at", "id", postgresql_where=text("state = 'pending'")),
    Index("delivery_leased", "lease_until", postgresql_where=text("state = 'sending'")),
    Index("delivery_newest", "created_at", "id"),
    Index("delivery_dead", "created_at", "id", postgresql_where=text("state = 'dead'")),
    Index("delivery_of_handoff", "handoff_id"),
    Index("delivery_of_contact", "contact_id", postgresql_where=text("state IN ('pending', 'sending')")),
    Index("delivery_message", "message_id", "endpoint", unique=True),
    postgresql_with={
        "fillfactor": 70,
        "autovacuum_vacuum_scale_factor": 0.01,
        "autovacuum_vacuum_cost_delay": 0,
    },
)

# What marketing was told to nurture: whose it is, so that an opt-out or an erasure finds it.
nurture = Table(
    "nurture",
    metadata,
    Column("message_id", Text, primary_key=True),
    Column("contact_id", UUID(as_uuid=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("nurture_of_contact", "contact_id"),
)

# Which record of a system without a key of ours is a contact's: by what name, under which revision of the endpoint.
known_record = Table(
    "known_record",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("remote_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("learned_at", DateTime(timezone=True), nullable=False),
    Index("known_record_of_contact", "contact_id"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", UUID(as_uuid=True), ForeignKey("router.delivery.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("error", Text, nullable=False),
    Column("response", Text, nullable=False),  # the beginning of the body
    Column("peer", Text, nullable=False),  # address that was dialled
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("phases", JSONB),  # milliseconds
    Column("request_headers", JSONB),  # redacted
)

# Deliveries being sent again, oldest first, so many a second.
replay = Table(
    "replay",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("wanted", JSONB, nullable=False),
    Column("rate", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("total", Integer, nullable=False),  # when it was asked for
    Column("looked_at", Integer, nullable=False, server_default=text("0")),
    Column("replayed", Integer, nullable=False, server_default=text("0")),
    Column("after_created_at", DateTime(timezone=True)),  # how far it is
    Column("after_id", UUID(as_uuid=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('running', 'done', 'cancelled')", name="replay_state"),
    Index("replay_due", "due_at", postgresql_where=text("state = 'running'")),
)
