"""The tables of ingest."""

from sqlalchemy import CheckConstraint, Column, DateTime, Index, MetaData, Table, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID

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

pending_merge = Table(
    "pending_merge",
    metadata,
    Column("survivor", UUID(as_uuid=True), primary_key=True),
    Column("other", UUID(as_uuid=True), primary_key=True),
    Column("evidence", JSONB, nullable=False),
    Column("first_seen", DateTime(timezone=True), nullable=False),
)

position = position_table(metadata)
