"""Scorer: signatures name their key, and what was proposed and signed cannot be changed any more."""

import sqlalchemy as sa
from alembic import op

revision = "0019_agreements"
down_revision = "0017_answers"
branch_labels = None
depends_on = None

# Of a version only its state may change, and only to one in force when both sides have signed just this content.
_AGREEMENT = """
CREATE FUNCTION scorer.keep_agreement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'draft' OR NEW.activated_at IS NOT NULL THEN
            RAISE EXCEPTION 'agreement % begins as a draft', NEW.version;
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'agreements are kept for ever';
    END IF;
    IF (NEW.version, NEW.content_hash, NEW.title, NEW.text, NEW.proposed_by, NEW.proposed_at)
        IS DISTINCT FROM (OLD.version, OLD.content_hash, OLD.title, OLD.text, OLD.proposed_by, OLD.proposed_at) THEN
        RAISE EXCEPTION 'agreement % is kept as it was proposed', OLD.version;
    END IF;
    IF NEW.status NOT IN ('draft', 'superseded') AND NEW.status <> OLD.status AND (
        SELECT count(DISTINCT side) FROM scorer.signature
        WHERE version = NEW.version AND content_hash = NEW.content_hash
    ) < 2 THEN
        RAISE EXCEPTION 'agreement % is not signed by both sides', NEW.version;
    END IF;
    RETURN NEW;
END
$$
"""
_SIGNATURE = """
CREATE FUNCTION scorer.keep_signature() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'signatures are kept for ever';
END
$$
"""


def upgrade() -> None:
    op.add_column("signature", sa.Column("key_fingerprint", sa.Text), schema="scorer")
    op.execute(_AGREEMENT)
    op.execute(_SIGNATURE)
    op.execute(
        "CREATE TRIGGER keep_agreement BEFORE INSERT OR UPDATE OR DELETE ON scorer.agreement"
        " FOR EACH ROW EXECUTE FUNCTION scorer.keep_agreement()"
    )
    op.execute(
        "CREATE TRIGGER keep_agreements BEFORE TRUNCATE ON scorer.agreement"
        " FOR EACH STATEMENT EXECUTE FUNCTION scorer.keep_agreement()"
    )
    op.execute(
        "CREATE TRIGGER keep_signature BEFORE UPDATE OR DELETE ON scorer.signature"
        " FOR EACH ROW EXECUTE FUNCTION scorer.keep_signature()"
    )
    op.execute(
        "CREATE TRIGGER keep_signatures BEFORE TRUNCATE ON scorer.signature"
        " FOR EACH STATEMENT EXECUTE FUNCTION scorer.keep_signature()"
    )


def downgrade() -> None:
    for trigger in ("keep_agreement", "keep_agreements"):
        op.execute(f"DROP TRIGGER {trigger} ON scorer.agreement")
    for trigger in ("keep_signature", "keep_signatures"):
        op.execute(f"DROP TRIGGER {trigger} ON scorer.signature")
    op.execute("DROP FUNCTION scorer.keep_agreement()")
    op.execute("DROP FUNCTION scorer.keep_signature()")
    op.drop_column("signature", "key_fingerprint", schema="scorer")
