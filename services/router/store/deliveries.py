"""Deliveries: what is sent where, and where each stands.

A delivery is `pending` until it is claimed, `sending` under a lease, then `delivered`, `dead` or `pending` again;
`cancelled` when its contact wants to be left alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, case, exists, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.store import tables

_delivery = tables.delivery.c

_CREATE = insert(tables.delivery).on_conflict_do_nothing(index_elements=["message_id", "endpoint"])


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to make."""

    id: UUID
    message_id: str
    endpoint: str
    handoff_id: UUID | None  # None: it tells of an erasure
    contact_id: UUID
    body: bytes
    traceparent: str | None = None
    not_before: datetime | None = None  # None: due at once


class DeliveryStore:
    """SQL about deliveries, except their claims and attempts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, connection: AsyncConnection, deliveries: Sequence[NewDelivery], *, now: datetime) -> None:
        """Make deliveries; one that is there already stays as it is."""
        if deliveries:
            await connection.execute(
                _CREATE,
                [
                    {
                        "id": delivery.id,
                        "message_id": delivery.message_id,
                        "endpoint": delivery.endpoint,
                        "handoff_id": delivery.handoff_id,
                        "contact_id": delivery.contact_id,
                        "state": "pending",
                        "due_at": delivery.not_before or now,
                        "created_at": now,
                        "body": delivery.body,
                        "traceparent": delivery.traceparent,
                    }
                    for delivery in deliveries
                ],
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

    async def replay(self, ids: Sequence[UUID], *, now: datetime) -> list[UUID]:
        """Make deliveries due now, with a fresh schedule, and return which.

        Left alone are those under way, those cancelled, and those about contacts who want to be left alone or were
        erased.
        """
        opted_out = exists().where(
            tables.opted_out.c.contact_id == _delivery.contact_id,
            tables.handoff.c.id == _delivery.handoff_id,
            tables.handoff.c.decided_at <= tables.opted_out.c.at,
        )
        async with self._engine.begin() as connection:
            rows = await connection.execute(
                update(tables.delivery)
                .where(
                    _delivery.id.in_(list(ids)),
                    _delivery.state.in_(["dead", "delivered", "pending"]),
                    ~opted_out,
                    _delivery.body != b"",
                )
                .values(state="pending", due_at=now, failures=0, ended_at=None)
                .returning(_delivery.id)
            )
            return list(rows.scalars())

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

    async def page(
        self,
        *,
        states: Sequence[str],
        endpoint: str | None,
        before: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Row[Any]]:
        """Return deliveries, newest first, those before the cursor."""
        statement = _columns().order_by(_delivery.created_at.desc(), _delivery.id.desc()).limit(limit)
        if states:
            statement = statement.where(_delivery.state.in_(list(states)))
        if endpoint:
            statement = statement.where(_delivery.endpoint == endpoint)
        if before:
            statement = statement.where(tuple_(_delivery.created_at, _delivery.id) < tuple_(*before))
        return await self._rows(statement)

    async def _rows(self, statement: Any) -> list[Row[Any]]:
        async with self._engine.connect() as connection:
            return list(await connection.execute(statement))


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
