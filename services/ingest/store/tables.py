"""The tables of ingest."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shared.postgres.outbox import outbox_table
from shared.postgres.positions import position_table

metadata = MetaData(schema="ingest")

alias = Table(
    "alias",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("contact_id", UUID(as_uuid=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("kind IN ('anonymous', 'user', 'email')", name="alias_kind"),
    Index("alias_contact", "contact_id", "kind"),
    # Two user ids never share a contact, whatever races.
    Index("alias_one_user", "contact_id", unique=True, postgresql_where=text("kind = 'user'")),
)

merge = Table(
    "merge",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("survivor", UUID(as_uuid=True), nullable=False),
    Column("other", UUID(as_uuid=True), nullable=False),
    Column("evidence", JSONB, nullable=False),  # the names on the event that showed it
    Column("aliases", JSONB, nullable=False),  # that were moved, as [kind, value]
    Column("merged_at", DateTime(timezone=True), nullable=False),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    Index("merge_survivor", "survivor"),
    Index("merge_other", "other"),
    Index("merge_newest", "merged_at", "id"),
    # A contact lives on in one other at most, whatever races.
    Index("merge_once", "other", unique=True, postgresql_where=text("undone_at IS NULL")),
)

# Pairs that releases without merges kept for later; a worker takes them from here.
pending_merge = Table(
    "pending_merge",
    metadata,
    Column("survivor", UUID(as_uuid=True), primary_key=True),
    Column("other", UUID(as_uuid=True), primary_key=True),
    Column("evidence", JSONB, nullable=False),
    Column("first_seen", DateTime(timezone=True), nullable=False),
)

source = Table(
    "source",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, CheckConstraint("kind IN ('web', 'campaign')", name="source_kind"), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    Column("provider", Text, nullable=False),
    Column("secrets", ARRAY(Text), nullable=False),  # encrypted
    Column("mapping", Text, nullable=False),
    Column("requires_consent", Text, nullable=False),
    Column("rate", Double),
    Column("burst", Integer),
    Column("daily_quota", BigInteger),
    Column("max_body_bytes", Integer),
    Column("max_batch_events", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text, nullable=False),
)

source_key = Table(
    "source_key",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256
    Column("source", Text, ForeignKey("ingest.source.name", ondelete="CASCADE"), nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Index("source_key_source", "source"),
)

source_usage = Table(  # of sources in the keys file, too
    "source_usage",
    metadata,
    Column("day", Date, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("events", BigInteger, nullable=False),
)

source_version = Table(  # grows with each change of a source or a key, so that processes know to read them again
    "source_version",
    metadata,
    Column("single", Boolean, CheckConstraint("single", name="one_source_version"), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

position = position_table(metadata)
outbox = outbox_table(metadata)

rejection = Table(
    "rejection",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("item", Integer),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),  # JSON; not jsonb, which cannot keep NUL
    Column("before", LargeBinary, nullable=False),
    Column("original", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),  # of the original
    Column("incomplete", Boolean, nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("first_seen", DateTime(timezone=True), nullable=False),
    Column("last_seen", DateTime(timezone=True), nullable=False),
    Column("seen", Integer, nullable=False),
    Column("waiting", Boolean, nullable=False),  # false once it was replayed and has not come back
    Column("replays", Integer, nullable=False),
    Column("replayed_at", DateTime(timezone=True)),
    Column("replayed_by", Text),
    Index("rejection_first_seen", "first_seen", "id"),
    Index("rejection_last_seen", "last_seen"),
)

replay = Table(
    "replay",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("wanted", JSONB, nullable=False),
    Column("total", Integer, nullable=False),
    Column("replayed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("last_first_seen", DateTime(timezone=True)),  # of the last rejection that was dealt with, and its id
    Column("last_id", UUID(as_uuid=True)),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    Index("replay_unfinished", "requested_at", "id", postgresql_where=text("finished_at IS NULL")),
)

# What remains of an erased contact: its id, and its aliases as hashes that nobody without the pepper can make.
erased = Table(
    "erased",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("erasure_id", UUID(as_uuid=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)

erased_alias = Table(
    "erased_alias",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)

# Who was erased and is a contact again, by own will. A row names nobody; the contact's aliases do, until they go again.
readmission = Table(
    "readmission",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("contact_id", UUID(as_uuid=True), nullable=False),  # the new one
    Column("erasure_ids", ARRAY(UUID(as_uuid=True)), nullable=False),
    Column("hashes", Integer, nullable=False),  # how many were forgotten
    Column("at", DateTime(timezone=True), nullable=False),
    Column("by", Text, nullable=False),
    Index("readmission_newest", "at", "id"),
    Index("readmission_contact", "contact_id"),
)

pepper = Table(
    "pepper",
    metadata,
    Column("single", Boolean, CheckConstraint("single", name="pepper_is_one_row"), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
