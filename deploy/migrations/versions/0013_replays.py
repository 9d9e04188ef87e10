"""Scorer: agreements that count anew before they come into force."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013_replays"
down_revision = "0012_accounts"
branch_labels = None
depends_on = None

_ACTIVATING = "status = 'activating'"


def upgrade() -> None:
    # Agreements are few: checking them all takes no time.
    op.drop_constraint("agreement_status", "agreement", schema="scorer")
    op.create_check_constraint(
        "agreement_status", "agreement", "status IN ('draft', 'activating', 'active', 'superseded')", schema="scorer"
    )
    op.create_index(
        "agreement_one_activating",
        "agreement",
        ["status"],
        unique=True,
        schema="scorer",
        postgresql_where=sa.text(_ACTIVATING),
    )
    op.create_table(
        "replay",
        sa.Column("version", sa.Integer, sa.ForeignKey("scorer.agreement.version"), primary_key=True),
        sa.Column("replaces", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        schema="scorer",
    )
    op.create_table(
        "replay_slice",
        sa.Column("version", sa.Integer, sa.ForeignKey("scorer.replay.version"), primary_key=True),
        sa.Column("number", sa.SmallInteger, primary_key=True),
        sa.Column("after", postgresql.UUID(as_uuid=True)),
        sa.Column("contacts", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("finished", sa.Boolean, nullable=False, server_default=sa.false()),
        schema="scorer",
        postgresql_with={"fillfactor": 50},
    )


def downgrade() -> None:
    op.drop_table("replay_slice", schema="scorer")
    op.drop_table("replay", schema="scorer")
    op.drop_index("agreement_one_activating", "agreement", schema="scorer")
    op.drop_constraint("agreement_status", "agreement", schema="scorer")
    # Both sides have signed it: under the release before, it is active from now on, and counts anew afterwards.
    op.execute(
        f"UPDATE scorer.agreement SET status = 'superseded'"
        f" WHERE status = 'active' AND EXISTS (SELECT FROM scorer.agreement WHERE {_ACTIVATING})"
    )
    op.execute(f"UPDATE scorer.agreement SET status = 'active', activated_at = now() WHERE {_ACTIVATING}")
    op.create_check_constraint(
        "agreement_status", "agreement", "status IN ('draft', 'active', 'superseded')", schema="scorer"
    )
