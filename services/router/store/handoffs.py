"""Handoffs: what came in, where each stands, and every step that it took."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, case, exists, func, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.answer import Answer
from services.router.domain.brief import Brief
from services.router.domain.handoff import MOST_OWNERS, OPEN, QUEUED, UNANSWERED, State, Step, Taken
from services.router.errors import HandoffMissing
from services.router.store import tables
from services.router.store.handoff_row import Handoff, read_handoff
from shared.events.handoff import HandoffReady
from shared.postgres.array_insert import ArrayInsert

_handoff = tables.handoff.c

# Of a row just inserted; SQLAlchemy does not correlate a subquery with the table of an INSERT.
_OPTED_OUT: ColumnElement[bool] = literal_column(
    "EXISTS (SELECT FROM router.opted_out o WHERE o.contact_id = handoff.contact_id)"
)

# Built once: each is run for every handoff. States stand in the text, so that partial indexes serve a generic plan.
_INSERT_NEW = insert(tables.handoff).on_conflict_do_nothing(index_elements=["id"]).returning(_OPTED_OUT)
_OPEN_COUNTS = (
    select(_handoff.rep, func.count())
    .where(_handoff.state.in_([literal_column(f"'{state}'") for state in sorted(OPEN)]))
    .group_by(_handoff.rep)
)
_SAVE_STEPS = ArrayInsert(tables.handoff_event, [column.name for column in tables.handoff_event.columns])
# As `owners_after` decides: the last ones, each once.
_OWNERS_AFTER = case(
    (_handoff.rep.is_(None), _handoff.owners),
    else_=literal_column(
        f"(array_remove(owners, rep) || rep)[greatest(1, cardinality(array_remove(owners, rep)) + 2 - {MOST_OWNERS}):]"
    ),
)


@dataclass(frozen=True, slots=True)
class NewHandoff:
    """A handoff as it came off the log."""

    ready: HandoffReady
    brief: Brief
    document: bytes
    traceparent: str | None


class HandoffStore:
    """SQL about handoffs, except the queue."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def insert_new(self, connection: AsyncConnection, handoffs: Sequence[NewHandoff], *, now: datetime) -> bool:
        """Put those that are new in the queue; return whether any contact of theirs ever opted out."""
        unique = {handoff.ready.id: handoff for handoff in reversed(handoffs)}
        rows = [
            {
                "id": handoff.ready.id,
                "contact_id": handoff.ready.contact.id,
                "state": State.READY,
                "state_since": now,
                "decided_at": handoff.ready.decided_at,
                "created_at": now,
                "clock_from": now,
                "document": handoff.document,
                "traceparent": handoff.traceparent,
                "account_id": handoff.ready.contact.account_id,
                "rank": 0 if handoff.ready.reason == "hand_raise" else 1,
            }
            for handoff in unique.values()
        ]
        return any(await connection.scalars(_INSERT_NEW, rows)) if rows else False

    async def opt_out(self, connection: AsyncConnection, contacts: Iterable[tuple[UUID, datetime]]) -> None:
        """Remember that the contacts want to be left alone; the newest word of a contact counts."""
        statement = insert(tables.opted_out)
        at = tables.opted_out.c.at
        statement = statement.on_conflict_do_update(
            index_elements=["contact_id"], set_={"at": func.greatest(at, statement.excluded.at)}
        )
        rows = [{"contact_id": contact, "at": when} for contact, when in contacts]
        if rows:
            await connection.execute(statement, rows)

    async def unwanted(
        self, connection: AsyncConnection, contacts: Iterable[UUID], states: Iterable[State]
    ) -> list[Handoff]:
        """Lock and return the contacts' handoffs in these states that were decided before they opted out."""
        return await self._locked(
            connection,
            select(tables.handoff)
            .join(tables.opted_out, tables.opted_out.c.contact_id == _handoff.contact_id)
            .where(
                _handoff.contact_id.in_(list(contacts)),
                _handoff.state.in_(list(states)),
                _handoff.decided_at <= tables.opted_out.c.at,
            ),
        )

    async def lock_of_contacts(self, connection: AsyncConnection, contacts: Sequence[UUID]) -> list[Handoff]:
        """Lock and return all handoffs of the contacts."""
        return await self._locked(connection, select(tables.handoff).where(_handoff.contact_id.in_(list(contacts))))

    async def of_contact(self, contact_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Handoff]:
        """Return handoffs of a contact, newest first, those before the cursor."""
        statement = select(tables.handoff).where(_handoff.contact_id == contact_id)
        statement = statement.order_by(_handoff.created_at.desc(), _handoff.id.desc()).limit(limit)
        if before:
            statement = statement.where(tuple_(_handoff.created_at, _handoff.id) < tuple_(*before))
        async with self._engine.connect() as connection:
            return [read_handoff(row) for row in await connection.execute(statement)]

    async def owned_by_others(
        self, connection: AsyncConnection, reps: Sequence[str], states: Iterable[State]
    ) -> list[Handoff]:
        """Lock and return the handoffs in these states whose rep is not one of these."""
        return await self._locked(
            connection,
            select(tables.handoff).where(_handoff.state.in_(list(states)), _handoff.rep.not_in(list(reps))),
        )

    async def _locked(self, connection: AsyncConnection, statement: Any) -> list[Handoff]:
        rows = await connection.execute(statement.order_by(_handoff.id).with_for_update(of=tables.handoff))
        return [read_handoff(row) for row in rows]

    async def lock(self, connection: AsyncConnection, handoff_id: UUID) -> Handoff:
        """Return the handoff and keep it until the transaction ends. Raises HandoffMissing."""
        statement = select(tables.handoff).where(_handoff.id == handoff_id).with_for_update()
        row = (await connection.execute(statement)).one_or_none()
        if row is None:
            raise HandoffMissing(handoff_id)
        return read_handoff(row)

    async def open_counts(self, connection: AsyncConnection) -> dict[str, int]:
        """Return how many open handoffs each rep has."""
        rows = await connection.execute(_OPEN_COUNTS)
        return {rep: count for rep, count in rows if rep is not None}

    async def save_steps(self, connection: AsyncConnection, steps: Sequence[Taken]) -> None:
        """Append the steps to the history."""
        if steps:
            await _SAVE_STEPS.execute(
                connection,
                [
                    {
                        "handoff_id": step.handoff_id,
                        "number": step.number,
                        "at": step.at,
                        "step": step.step,
                        "before": step.before,
                        "after": step.after,
                        "rep": step.rep,
                        "by": step.by,
                        "reason": step.reason,
                        "note": step.note,
                        "decision": step.decision,
                        "objection": step.objection,
                        "amount": step.amount,
                        "currency": step.currency,
                    }
                    for step in steps
                ],
            )

    async def move(self, connection: AsyncConnection, steps: Sequence[Taken]) -> None:
        """Bring locked handoffs to the state after their last step, and append the steps to the history."""
        for step in steps:
            await connection.execute(
                update(tables.handoff).where(_handoff.id == step.handoff_id).values(**_after(step))
            )
        await self.save_steps(connection, steps)

    async def has_said(self, connection: AsyncConnection, handoff_id: UUID, answer: Answer) -> bool:
        """Tell whether the same was said of the handoff before."""
        event = tables.handoff_event.c
        return bool(
            await connection.scalar(
                select(
                    exists().where(
                        event.handoff_id == handoff_id,
                        event.step == answer.step,
                        event.objection.is_not_distinct_from(answer.objection),
                        event.note.is_not_distinct_from(answer.note),
                    )
                )
            )
        )

    async def get(self, handoff_id: UUID) -> Handoff:
        """Return the handoff. Raises HandoffMissing."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(tables.handoff).where(_handoff.id == handoff_id))).one_or_none()
        if row is None:
            raise HandoffMissing(handoff_id)
        return read_handoff(row)

    async def history(self, handoff_id: UUID) -> list[Row[Any]]:
        """Return the steps of a handoff, first to last."""
        event = tables.handoff_event.c
        async with self._engine.connect() as connection:
            return list(
                await connection.execute(
                    select(tables.handoff_event).where(event.handoff_id == handoff_id).order_by(event.number)
                )
            )

    async def page(self, *, states: Sequence[State], before: tuple[datetime, UUID] | None, limit: int) -> list[Handoff]:
        """Return handoffs, newest first, those before the cursor."""
        statement = select(tables.handoff).order_by(_handoff.created_at.desc(), _handoff.id.desc()).limit(limit)
        if states:
            statement = statement.where(_handoff.state.in_(list(states)))
        if before:
            statement = statement.where(tuple_(_handoff.created_at, _handoff.id) < tuple_(*before))
        async with self._engine.connect() as connection:
            return [read_handoff(row) for row in await connection.execute(statement)]


def _after(step: Taken) -> dict[str, Any]:
    """Return what a step changes. The clock is set anew by whoever watches it."""
    if step.after is step.before:
        return {"steps": step.number}
    values: dict[str, Any] = {
        "state": step.after,
        "state_since": step.at,
        "steps": step.number,
        "due_at": None,
        "clock_version": 0,
    }
    if step.step is Step.REJECT:
        values["reason"] = step.reason
    if step.after in QUEUED:
        values |= {"rep": None, "given_at": None, "answered_at": None, "owners": _OWNERS_AFTER}
        values |= {"waits_for": None, "held_until": None}
    elif step.step is Step.ESCALATE:
        values |= {"rep": step.rep, "given_at": step.at, "assignments": _handoff.assignments + 1}
    elif step.before in UNANSWERED and step.step in {Step.ACCEPT, Step.REJECT}:
        values |= {"rep": step.rep, "answered_at": step.at}
    return values
