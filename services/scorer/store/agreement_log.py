"""The log of agreements: every proposal, signature and change of the one in force, as the rows tell it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, func, literal, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from services.scorer.store.agreements import Side
from services.scorer.store.tables import agreement, signature


class Step(StrEnum):
    """What happened to a version, in the order in which it does."""

    PROPOSED = "proposed"
    SIGNED = "signed"
    ACTIVATED = "activated"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the log. Numbers count from 1, from the oldest."""

    number: int
    at: datetime
    version: int
    title: str
    step: Step
    by: str | None  # None: it followed from what others did
    side: Side | None
    content_hash: str
    key_fingerprint: str | None


async def read_log(connection: AsyncConnection, *, before: int | None, limit: int) -> list[Entry]:
    """Return entries, newest first."""
    steps = union_all(_proposed(), _signed(), _activated(), _superseded()).subquery()
    order = [step.value for step in Step]
    numbered = select(
        func.row_number()
        .over(order_by=[steps.c.at, steps.c.version, func.array_position(order, steps.c.step), steps.c.side])
        .label("number"),
        steps,
    ).subquery()
    statement = select(numbered).order_by(numbered.c.number.desc()).limit(limit)
    if before is not None:
        statement = statement.where(numbered.c.number < before)
    rows = (await connection.execute(statement)).mappings()
    return [Entry(**{**row, "step": Step(row["step"])}) for row in rows]


def _proposed() -> Select[*tuple[object, ...]]:
    return select(
        agreement.c.proposed_at.label("at"),
        agreement.c.version,
        agreement.c.title,
        literal(Step.PROPOSED.value, Text).label("step"),
        agreement.c.proposed_by.label("by"),
        null().cast(Text).label("side"),
        agreement.c.content_hash,
        null().cast(Text).label("key_fingerprint"),
    )


def _signed() -> Select[*tuple[object, ...]]:
    return select(
        signature.c.signed_at,
        signature.c.version,
        agreement.c.title,
        literal(Step.SIGNED.value, Text),
        signature.c.signed_by,
        signature.c.side,
        signature.c.content_hash,
        signature.c.key_fingerprint,
    ).join_from(signature, agreement, signature.c.version == agreement.c.version)


def _activated() -> Select[*tuple[object, ...]]:
    return select(
        agreement.c.activated_at,
        agreement.c.version,
        agreement.c.title,
        literal(Step.ACTIVATED.value, Text),
        null().cast(Text),
        null().cast(Text),
        agreement.c.content_hash,
        null().cast(Text),
    ).where(agreement.c.activated_at.is_not(None))


def _superseded() -> Select[*tuple[object, ...]]:
    """Return when the next one was activated, of those that were active."""
    followed = (
        select(
            func.lead(agreement.c.activated_at).over(order_by=agreement.c.activated_at).label("at"),
            agreement.c.version,
            agreement.c.title,
            agreement.c.content_hash,
        )
        .where(agreement.c.activated_at.is_not(None))
        .subquery()
    )
    return select(
        followed.c.at,
        followed.c.version,
        followed.c.title,
        literal(Step.SUPERSEDED.value, Text),
        null().cast(Text),
        null().cast(Text),
        followed.c.content_hash,
        null().cast(Text),
    ).where(followed.c.at.is_not(None))
