"""The scorer's tables, as the migration creates them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import UUID

from shared.postgres.outbox import outbox_table
from shared.postgres.positions import position_table

metadata = MetaData(schema="scorer")

position = position_table(metadata)
outbox = outbox_table(metadata)

contact = Table(
    "contact",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True)),
    Column("state", LargeBinary, nullable=False),  # JSON of domain.state.ContactState
    Column("cools_at", DateTime(timezone=True)),  # when time alone arms it again or changes its stage
    Column("agreement", Integer, nullable=False),  # version that it was last decided under; 0: none
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("merged_into", UUID(as_uuid=True)),  # the contact that it lives on in; None: it is one of its own
    Index("contact_cools_at", "cools_at", postgresql_where=text("cools_at IS NOT NULL")),
    Index("contact_agreement", "agreement"),
    Index("contact_account", "account_id", "id", postgresql_where=text("account_id IS NOT NULL")),
    # Room for the next version of a row on its page: an update then touches no index.
    postgresql_with={"fillfactor": 70},
)

alias = Table(
    "alias",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
)

# One row for each company somebody of which counts for it, and a few that were handed off before.
account = Table(
    "account",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("domain", Text, nullable=False, server_default=""),
    Column("state", LargeBinary, nullable=False),  # JSON of domain.account.AccountState
    Column("rank", Float(53), nullable=False, server_default=text("'-infinity'")),  # by which lists are ordered
    Column("cools_at", DateTime(timezone=True)),  # when it is armed again if nothing happens
    Index("account_rank", "rank", "id"),
    Index("account_cools_at", "cools_at", postgresql_where=text("cools_at IS NOT NULL")),
    postgresql_with={"fillfactor": 70},
)

# Who may count for which account. Whoever writes a row holds its contact.
account_contact = Table(
    "account_contact",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Index("account_contact_account", "account_id"),
)

# Accounts to look at. Rows are only added and removed, so those who add never wait for anybody.
account_due = Table(
    "account_due",
    metadata,
    Column("ordinal", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", UUID(as_uuid=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),  # instant that it is to be decided as of
    postgresql_with={"autovacuum_vacuum_scale_factor": 0.01, "autovacuum_vacuum_cost_delay": 0},
)

# The history, and the check for repeats: the contact comes first, which keeps one contact's touches together.
touch = Table(
    "touch",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("payload", LargeBinary, nullable=False),  # JSON of shared.events.touch.Touch, as ingest made it
    Column("suspect", Text),  # why the touches beside it make it suspect
    Column("trusted", Boolean),  # what a person decided about it
    Column("trusted_by", Text),
    Column("trusted_at", DateTime(timezone=True)),
)

# What was merged, and how the contacts stood then, so that it can be undone. A row without `merged_at` is of a merge
# that was undone before it was heard of, and is never made.
merge = Table(
    "merge",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("survivor", UUID(as_uuid=True), nullable=False),
    Column("other", UUID(as_uuid=True), nullable=False),
    Column("survivor_arming", LargeBinary),  # JSON of domain.arming.Arming; None: there was nothing to merge
    Column("other_arming", LargeBinary),
    Column("merged_at", DateTime(timezone=True)),
    Column("unmerged_at", DateTime(timezone=True)),
)

agreement = Table(
    "agreement",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),  # 1, 2, 3, without gaps
    Column("content_hash", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("activated_at", DateTime(timezone=True)),
    CheckConstraint("status IN ('draft', 'activating', 'active', 'superseded')", name="agreement_status"),
    Index("agreement_one_active", "status", unique=True, postgresql_where=text("status = 'active'")),
    Index("agreement_one_activating", "status", unique=True, postgresql_where=text("status = 'activating'")),
    # What was superseded may be proposed again, as a new version that both sides have to sign again.
    Index("agreement_content", "content_hash", unique=True, postgresql_where=text("status <> 'superseded'")),
)

# What was signed stays so: triggers refuse to change or delete a signature, and the text of a version.
signature = Table(
    "signature",
    metadata,
    Column("version", Integer, ForeignKey("scorer.agreement.version"), primary_key=True),
    Column("side", Text, primary_key=True),
    Column("signed_by", Text, nullable=False),
    Column("signed_at", DateTime(timezone=True), nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("key_fingerprint", Text),  # of the key that signed; None: signed under the first release
    CheckConstraint("side IN ('marketing', 'sales')", name="signature_side"),
)

# Agreements for which all touches were, or are being, counted anew before they are in force.
replay = Table(
    "replay",
    metadata,
    Column("version", Integer, ForeignKey("scorer.agreement.version"), primary_key=True),
    Column("replaces", Integer, nullable=False),  # version in force meanwhile
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
)

# How far each part of the space of contact ids is.
replay_slice = Table(
    "replay_slice",
    metadata,
    Column("version", Integer, ForeignKey("scorer.replay.version"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("after", UUID(as_uuid=True)),  # the last contact that is done; None: not begun
    Column("contacts", BigInteger, nullable=False, server_default=text("0")),
    Column("finished", Boolean, nullable=False, server_default=false()),
    postgresql_with={"fillfactor": 50},
)

# What remains of an erased contact, so that what is still under way is known as its.
erased = Table(
    "erased",
    metadata,
    Column("contact_id", UUID(as_uuid=True), primary_key=True),
    Column("erasure_id", UUID(as_uuid=True), nullable=False),  # one for a contact and all that were merged into it
    Column("at", DateTime(timezone=True), nullable=False),
)

# How much was erased, of nobody in particular.
erased_touches = Table(
    "erased_touches",
    metadata,
    Column("day", Date, primary_key=True),  # in UTC, on which they occurred
    Column("source", Text, primary_key=True),
    Column("touches", BigInteger, nullable=False),
)

# The handoffs that were decided, and what sales said about each: what a draft is held against.
handoff = Table(
    "handoff",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("contact_id", UUID(as_uuid=True), nullable=False),  # whose it is now
    Column("decided_for", UUID(as_uuid=True), nullable=False),  # whose it was: a merge that is undone gives it back
    Column("decided_at", DateTime(timezone=True)),  # None: before handoffs were kept; only answers tell of it
    Column("agreement", Integer),
    Column("reason", Text),
    Index("handoff_contact", "contact_id"),
)

answer = Table(
    "answer",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),  # of the message
    Column("handoff_id", UUID(as_uuid=True), nullable=False),
    Column("kind", Text, nullable=False),  # a shared.events.feedback.FeedbackKind
    Column("at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),  # of a rejection
    Index("answer_handoff", "handoff_id"),
)

# A draft that decides silently beside the active agreement; one at a time.
shadow = Table(
    "shadow",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("active_version", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_by", Text, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("compared_until", DateTime(timezone=True), nullable=False),  # a midnight in UTC, but at first
    Column("ended_at", DateTime(timezone=True)),
    Column("ended_because", Text),
    CheckConstraint("status IN ('running', 'ended')", name="shadow_status"),
    Index("shadow_one", "status", unique=True, postgresql_where=text("status = 'running'")),
)

# One comparison of a draft with the active agreement over stored touches: what was asked for, and how far it is.
simulation = Table(
    "simulation",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("shadow_id", UUID(as_uuid=True)),  # of a shadow's day: the leads found are the shadow's
    Column("status", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),  # leads of before are not looked at
    Column("touched_since", DateTime(timezone=True), nullable=False),  # contacts without a touch since are left out
    Column("until", DateTime(timezone=True), nullable=False),
    Column("segment", Text, nullable=False),  # such as `account.industry`; "" for none
    Column("capacity", Integer),  # leads a week that sales can take
    Column("draft_version", Integer),  # None: a text that was not proposed
    Column("draft_title", Text, nullable=False),
    Column("draft_hash", Text, nullable=False),
    Column("draft_text", Text, nullable=False),
    Column("active_version", Integer),  # None: none was active
    Column(
        "accounts", Boolean, nullable=False, server_default=false()
    ),  # whether leads of accounts were looked for, too
    Column("cursor", UUID(as_uuid=True)),  # the contact up to which it is done, in the order of ids
    Column("contacts", BigInteger, nullable=False, server_default="0"),
    Column("touches", BigInteger, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False, server_default="0"),  # begun since it last got on
    Column("owner", Text),  # the process that is at it, for as long as the lease runs
    Column("lease_until", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("problem", Text),
    CheckConstraint("status IN ('waiting', 'running', 'done', 'failed', 'cancelled')", name="simulation_status"),
    Index("simulation_requested_at", "requested_at", "id"),
    Index("simulation_unfinished", "requested_at", postgresql_where=text("finished_at IS NULL")),
)

# What a simulation or a shadow found. No names in here: they are read from the contact when it is shown.
simulated_lead = Table(
    "simulated_lead",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("comparison_id", UUID(as_uuid=True), nullable=False),  # the simulation, or the shadow
    Column("contact_id", UUID(as_uuid=True), nullable=False),
    Column("kind", Text, nullable=False),  # a domain.leads.LeadKind
    Column("active_at", DateTime(timezone=True)),
    Column("draft_at", DateTime(timezone=True)),
    Column("made_at", DateTime(timezone=True)),  # of the real handoff
    Column("outcome", Text),
    Column("outcome_reason", Text),
    Column("segment", Text),
    Column("why", LargeBinary, nullable=False),  # JSON of domain.leads.Why
    CheckConstraint("kind IN ('both', 'gained', 'lost', 'neither')", name="simulated_lead_kind"),
    Index("simulated_lead_comparison", "comparison_id", "kind", "id"),
    Index("simulated_lead_contact", "contact_id"),
)
