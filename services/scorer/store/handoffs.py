"""Handoffs that were decided, and what sales said about each: kept to hold drafts against.

Rows are written in the transactions that decide and that heed feedback, which hold the contact.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.deciding import Handoff
from services.scorer.domain.retelling import Step
from services.scorer.domain.simulation import Made
from shared.events.feedback import Feedback, FeedbackKind

_ADD = """
    INSERT INTO scorer.handoff (id, contact_id, decided_for, decided_at, agreement, reason)
    SELECT id, contact_id, contact_id, decided_at, $4, reason
    FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $5::text[]) AS new (id, contact_id, decided_at, reason)
    ON CONFLICT (id) DO NOTHING
"""
# Of a handoff that was decided before handoffs were kept there is no row yet.
_ADD_ANSWERED = """
    INSERT INTO scorer.handoff (id, contact_id, decided_for)
    SELECT DISTINCT ON (id) * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS new (id, contact_id, decided_for)
    ORDER BY id
    ON CONFLICT (id) DO NOTHING
"""
_ADD_ANSWERS = """
    INSERT INTO scorer.answer (id, handoff_id, kind, at, reason)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[])
    ON CONFLICT (id) DO NOTHING
"""
_MOVE = "UPDATE scorer.handoff SET contact_id = $2 WHERE contact_id = $1"
_GIVE_BACK = "UPDATE scorer.handoff SET contact_id = $2 WHERE contact_id = $1 AND decided_for = ANY($3::uuid[])"
_MOVE_LEADS = "UPDATE scorer.simulated_lead SET contact_id = $2 WHERE contact_id = $1"
_REMOVE = (
    "DELETE FROM scorer.answer USING scorer.handoff WHERE handoff_id = handoff.id AND contact_id = ANY($1::uuid[])",
    "DELETE FROM scorer.handoff WHERE contact_id = ANY($1::uuid[])",
    "DELETE FROM scorer.simulated_lead WHERE contact_id = ANY($1::uuid[])",
)
_MADE = """
    SELECT handoff.id, contact_id, decided_at, answer.id AS answer_id, kind, at, answer.reason
    FROM scorer.handoff LEFT JOIN scorer.answer ON handoff_id = handoff.id
    WHERE contact_id = ANY($1::uuid[])
    ORDER BY handoff.id, at, answer.id
"""
_OF_ACCOUNTS = """
    SELECT count(*)::int FROM scorer.handoff WHERE reason = 'account' AND decided_at >= $1 AND decided_at < $2
"""
_OF_CONTACT = """
    SELECT handoff.id, decided_for, decided_at, agreement, handoff.reason AS why,
        answer.id AS answer_id, kind, at, answer.reason
    FROM scorer.handoff LEFT JOIN scorer.answer ON handoff_id = handoff.id
    WHERE contact_id = $1
    ORDER BY handoff.id, at, answer.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Something that sales said about a handoff."""

    id: UUID
    kind: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A handoff as its row tells it."""

    id: UUID
    decided_for: UUID  # the contact at that time
    decided_at: datetime | None  # None: before handoffs were kept; only its answers tell of it
    agreement: int | None
    reason: str | None
    answers: list[Answer]


class HandoffStore:
    """The rows of `scorer.handoff` and `scorer.answer`."""

    async def add(self, connection: AsyncConnection, handoffs: Sequence[Handoff], *, agreement: int) -> None:
        """Keep handoffs that were just decided. The same again changes nothing."""
        if handoffs:
            await connection.exec_driver_sql(
                _ADD,
                (
                    [handoff.id for handoff in handoffs],
                    [handoff.contact.id for handoff in handoffs],
                    [handoff.decided_at for handoff in handoffs],
                    agreement,
                    [handoff.reason for handoff in handoffs],
                ),
            )

    async def answered(self, connection: AsyncConnection, said: Sequence[tuple[UUID, Feedback]]) -> None:
        """Keep what sales said, by the contact that the handoff belongs to now. The same again changes nothing."""
        if said:
            handoffs = [feedback.handoff_id for _, feedback in said]
            await connection.exec_driver_sql(
                _ADD_ANSWERED,
                (handoffs, [contact_id for contact_id, _ in said], [feedback.contact_id for _, feedback in said]),
            )
            unique = {feedback.id: feedback for _, feedback in said}
            await connection.exec_driver_sql(
                _ADD_ANSWERS,
                (
                    list(unique),
                    [feedback.handoff_id for feedback in unique.values()],
                    [str(feedback.kind) for feedback in unique.values()],
                    [feedback.at for feedback in unique.values()],
                    [feedback.reason.replace("\0", "") for feedback in unique.values()],
                ),
            )

    async def move(self, connection: AsyncConnection, contact_id: UUID, *, into: UUID) -> None:
        """Make the handoffs of a contact, and the leads found of it, those of another."""
        await connection.exec_driver_sql(_MOVE, (contact_id, into))
        await connection.exec_driver_sql(_MOVE_LEADS, (contact_id, into))

    async def give_back(
        self, connection: AsyncConnection, contact_id: UUID, decided_for: Collection[UUID], *, to: UUID
    ) -> None:
        """Return the handoffs that were decided for these contacts."""
        await connection.exec_driver_sql(_GIVE_BACK, (contact_id, to, list(decided_for)))

    async def remove(self, connection: AsyncConnection, contacts: Collection[UUID]) -> None:
        """Remove all about the contacts, and the leads found of them."""
        for statement in _REMOVE:
            await connection.exec_driver_sql(statement, (list(contacts),))

    async def of_contact(self, connection: AsyncConnection, contact_id: UUID) -> list[Step]:
        """Return the handoffs of a contact and what sales said about each, in the order in which it happened."""
        steps: dict[UUID, Step] = {}
        for row in await connection.exec_driver_sql(_OF_CONTACT, (contact_id,)):
            if row.decided_at is not None:
                steps[row.id] = Step(
                    kind="handoff", at=row.decided_at, handoff_id=row.id, reason=row.why, agreement=row.agreement
                )
            if row.kind is not None:
                steps[row.answer_id] = Step(
                    kind=row.kind, at=row.at, handoff_id=row.id, reason=row.reason or None, agreement=None
                )
        return sorted(steps.values(), key=lambda step: step.at)

    async def kept_of(self, connection: AsyncConnection, contact_id: UUID) -> list[Kept]:
        """Return all that is kept of the handoffs of a contact, in the order of their ids."""
        found: dict[UUID, Kept] = {}
        for row in await connection.exec_driver_sql(_OF_CONTACT, (contact_id,)):
            kept = found.setdefault(
                row.id,
                Kept(
                    id=row.id,
                    decided_for=row.decided_for,
                    decided_at=row.decided_at,
                    agreement=row.agreement,
                    reason=row.why,
                    answers=[],
                ),
            )
            if row.answer_id is not None:
                kept.answers.append(Answer(id=row.answer_id, kind=row.kind, at=row.at, reason=row.reason))
        return list(found.values())

    async def made_for_accounts(self, connection: AsyncConnection, *, since: datetime, until: datetime) -> int:
        """Return how many handoffs between the instants were decided because an account was ready."""
        return int((await connection.exec_driver_sql(_OF_ACCOUNTS, (since, until))).scalar_one())

    async def made(self, connection: AsyncConnection, contacts: Collection[UUID]) -> dict[UUID, list[Made]]:
        """Return the handoffs of those contacts that had any."""
        rows: dict[UUID, list[Any]] = {}
        for row in await connection.exec_driver_sql(_MADE, (list(contacts),)):
            rows.setdefault(row.id, []).append(row)
        found: dict[UUID, list[Made]] = {}
        for handoff_id, told in rows.items():
            decided_at = told[0].decided_at or told[0].at  # an answer is the first that is known of an old handoff
            if decided_at is not None:
                made = Made(handoff_id, decided_at, tuple(_feedback(row) for row in told if row.kind in _KINDS))
                found.setdefault(told[0].contact_id, []).append(made)
        return found


_KINDS = frozenset(FeedbackKind)  # another release may have kept more


def _feedback(row: Any) -> Feedback:
    return Feedback(
        id=row.answer_id,
        handoff_id=row.id,
        contact_id=row.contact_id,
        kind=FeedbackKind(row.kind),
        at=row.at,
        reason=row.reason,
    )
