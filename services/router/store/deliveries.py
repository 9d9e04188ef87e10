"""Deliveries: what is sent where, and where each stands.

A delivery is `pending` until it is claimed, `sending` under a lease, then `delivered`, `dead` or `pending` again;
`cancelled` when its contact wants to be left alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, case, exists, func, literal_column, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.replay import REPLAYABLE, DeliveryState, Wanted
from services.router.domain.webhook import Message
from services.router.store import tables
from shared.ids import derived_id
from shared.postgres.array_insert import ArrayInsert

_delivery = tables.delivery.c

CHANNEL = "tandem_deliveries"  # told once for a batch of new deliveries: their endpoints, a line each, or nothing

LONGEST_RING = 7999  # bytes; PostgreSQL takes no more

_CREATE = ArrayInsert(
    tables.delivery,
    [
        *("id", "message_id", "endpoint", "handoff_id", "contact_id", "state", "due_at", "created_at", "body"),
        "traceparent",
    ],
    unless=["message_id", "endpoint"],
    beside=select(func.pg_notify(CHANNEL, bindparam("endpoints"))),  # heard when the transaction commits
)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to make: of this message, to this endpoint."""

    message: Message
    endpoint: str
    handoff_id: UUID | None = None  # None: it tells of an erasure, of an endpoint, or marketing
    contact_id: UUID | None = None  # None: it tells of an endpoint
    traceparent: str | None = None
    not_before: datetime | None = None  # None: due at once

    @property
    def id(self) -> UUID:
        """Its id, which a repeat has too."""
        return derived_id("delivery", self.message.id, self.endpoint)


class DeliveryStore:
    """SQL about deliveries, except their claims and attempts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, connection: AsyncConnection, deliveries: Sequence[NewDelivery], *, now: datetime) -> None:
        """Make deliveries; one that is there already stays as it is."""
        if deliveries:
            await _CREATE.execute(
                connection,
                [
                    {
                        "id": delivery.id,
                        "message_id": delivery.message.id,
                        "endpoint": delivery.endpoint,
                        "handoff_id": delivery.handoff_id,
                        "contact_id": delivery.contact_id,
                        "state": "pending",
                        "due_at": delivery.not_before or now,
                        "created_at": now,
                        "body": delivery.message.body,
                        "traceparent": delivery.traceparent,
                    }
                    for delivery in deliveries
                ],
                endpoints=ring_for({delivery.endpoint for delivery in deliveries}),
            )

    async def cancel(self, connection: AsyncConnection, handoffs: Sequence[UUID]) -> None:
        """Send nothing more about the handoffs. An attempt under way may still succeed; it is the last."""
        # One statement: between two of them an attempt could end, and its delivery would be seen by neither.
        sending = _delivery.state == "sending"
        await connection.execute(
            update(tables.delivery)
            .where(_delivery.handoff_id.in_(list(handoffs)), _delivery.state.in_(["pending", "dead", "sending"]))
            .values(
                state=case((sending, _delivery.state), else_="cancelled"),
                cancelled=sending,
                ended_at=case((sending, _delivery.ended_at), else_=func.coalesce(_delivery.ended_at, func.now())),
            )
        )

    async def end_for_endpoints(self, connection: AsyncConnection, endpoints: Iterable[str], *, now: datetime) -> None:
        """End what waits for endpoints that are no more; it can be replayed when they return."""
        await connection.execute(
            update(tables.delivery)
            .where(_delivery.endpoint.in_(list(endpoints)), _delivery.state == "pending")
            .values(state="dead", ended_at=now)
        )

    async def replay(
        self, ids: Sequence[UUID], *, now: datetime, connection: AsyncConnection | None = None
    ) -> list[UUID]:
        """Make deliveries due now, with a fresh schedule, and return which.

        Left alone are those under way, those cancelled, and those about contacts who want to be left alone or were
        erased.
        """
        if connection is None:
            async with self._engine.begin() as own:
                return await self.replay(ids, now=now, connection=own)
        opted_out = exists().where(
            tables.opted_out.c.contact_id == _delivery.contact_id,
            tables.handoff.c.id == _delivery.handoff_id,
            tables.handoff.c.decided_at <= tables.opted_out.c.at,
        )
        not_nurtured = exists().where(
            tables.opted_out.c.contact_id == tables.nurture.c.contact_id,
            tables.nurture.c.message_id == _delivery.message_id,
            tables.nurture.c.at <= tables.opted_out.c.at,
        )
        rows = await connection.execute(
            update(tables.delivery)
            .where(
                _delivery.id.in_(list(ids)),
                _delivery.state.in_(list(REPLAYABLE)),
                ~opted_out,
                ~not_nurtured,
                _delivery.body != b"",
            )
            .values(state="pending", due_at=now, failures=0, ended_at=None, released_at=now)
            .returning(_delivery.id)
        )
        return list(rows.scalars())

    async def count(self, wanted: Wanted, *, until: datetime) -> int:
        """Return how many deliveries there are of those wanted, made until then."""
        counted = select(func.count()).select_from(tables.delivery).where(*_are(wanted), _delivery.created_at <= until)
        async with self._engine.connect() as connection:
            return int(await connection.scalar(counted) or 0)

    async def after(
        self,
        connection: AsyncConnection,
        wanted: Wanted,
        place: tuple[datetime, UUID] | None,
        *,
        until: datetime,
        limit: int,
    ) -> list[tuple[datetime, UUID]]:
        """Return the next of those wanted that were made until then, oldest first."""
        statement = (
            select(_delivery.created_at, _delivery.id)
            .where(*_are(wanted), _delivery.created_at <= until)
            .order_by(_delivery.created_at, _delivery.id)
            .limit(limit)
        )
        if place:
            statement = statement.where(tuple_(_delivery.created_at, _delivery.id) > tuple_(*place))
        return [(row.created_at, row.id) for row in await connection.execute(statement)]

    async def find(self, delivery_id: UUID) -> Row[Any] | None:
        """Return a delivery."""
        found = await self._rows(_columns().where(_delivery.id == delivery_id))
        return found[0] if found else None

    async def waiting(self) -> int:
        """Return how many deliveries are due now or later."""
        async with self._engine.connect() as connection:
            count = await connection.scalar(
                select(func.count()).select_from(tables.delivery).where(_delivery.state.in_(["pending", "sending"]))
            )
            return int(count or 0)

    async def of_handoff(self, handoff_id: UUID) -> list[Row[Any]]:
        """Return the deliveries about a handoff, oldest first."""
        return await self._rows(
            _columns().where(_delivery.handoff_id == handoff_id).order_by(_delivery.created_at, _delivery.id)
        )

    async def page(self, wanted: Wanted, *, before: tuple[datetime, UUID] | None, limit: int) -> list[Row[Any]]:
        """Return the deliveries that are wanted, newest first, those before the cursor."""
        statement = _columns().where(*_are(wanted))
        statement = statement.order_by(_delivery.created_at.desc(), _delivery.id.desc()).limit(limit)
        if before:
            statement = statement.where(tuple_(_delivery.created_at, _delivery.id) < tuple_(*before))
        return await self._rows(statement)

    async def _rows(self, statement: Any) -> list[Row[Any]]:
        async with self._engine.connect() as connection:
            return list(await connection.execute(statement))


def ring_for(endpoints: Collection[str]) -> str:
    """Return what is told of new deliveries to these endpoints; nothing if they are too many."""
    told = "\n".join(sorted(endpoints))
    return told if len(told.encode()) <= LONGEST_RING else ""


def rung_for(told: str) -> frozenset[str] | None:
    """Return the endpoints of which was told; None: any."""
    return frozenset(told.split("\n")) if told else None


def _are(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Return the conditions; a single state stands in the text, as the partial indexes have it."""
    conditions: list[ColumnElement[bool]] = []
    match wanted.state:
        case []:
            pass
        case [state]:
            conditions.append(_delivery.state == literal_column(f"'{DeliveryState(state)}'"))
        case states:
            conditions.append(_delivery.state.in_(list(states)))
    if wanted.endpoint is not None:
        conditions.append(_delivery.endpoint == wanted.endpoint)
    if wanted.outcome is not None:
        conditions.append(_delivery.last_outcome == wanted.outcome)
    if wanted.handoff is not None:
        conditions.append(_delivery.handoff_id == wanted.handoff)
    if wanted.created_from is not None:
        conditions.append(_delivery.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        conditions.append(_delivery.created_at < wanted.created_before)
    return conditions


def _columns() -> Any:
    return select(
        _delivery.id,
        _delivery.message_id,
        _delivery.endpoint,
        _delivery.handoff_id,
        _delivery.state,
        _delivery.due_at,
        _delivery.attempts,
        _delivery.last_outcome,
        _delivery.created_at,
        _delivery.ended_at,
    )
