"""The log on PostgreSQL: topics, the heads of their partitions, and their records."""

import sqlalchemy as sa
from alembic import op

from shared.log.postgres_schema import CREATE_APPEND

revision = "0001_log"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA log")
    op.create_table(
        "topic",
        sa.Column("id", sa.SmallInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("partitions", sa.Integer, nullable=False),
        sa.Column("retention_hours", sa.Integer, nullable=False),
        schema="log",
    )
    op.create_table(
        "head",
        sa.Column("topic_id", sa.SmallInteger, sa.ForeignKey("log.topic.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("earliest", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("next_offset", sa.BigInteger, nullable=False, server_default="0"),
        schema="log",
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "record",
        sa.Column("topic_id", sa.SmallInteger, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("headers", sa.LargeBinary),
        sa.Column("appended_at", sa.DateTime(timezone=True), nullable=False),
        schema="log",
    )
    op.execute(CREATE_APPEND)


def downgrade() -> None:
    op.execute("DROP SCHEMA log CASCADE")
