"""Past handoffs as a simulation needs them: when each came, who had it, and how long it filled a capacity."""

from datetime import datetime

from sqlalchemy import and_, func, lateral, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.domain.erasure import is_stripped
from services.router.domain.handoff import OPEN, Step
from services.router.domain.route_simulation import Past
from services.router.store import tables
from services.router.store.handoff_row import read_ready

_handoff, _event = tables.handoff.c, tables.handoff_event.c
_given = lateral(
    select(_event.at, _event.rep)
    .where(_event.handoff_id == _handoff.id, _event.step == Step.ASSIGN)
    .order_by(_event.number)
    .limit(1)
).alias("given")
_left = lateral(
    select(func.min(_event.at).label("at")).where(
        and_(_event.handoff_id == _handoff.id, _event.before.in_(sorted(OPEN)), _event.after.not_in(sorted(OPEN)))
    )
).alias("left")


class PastStore:
    """SQL about what was."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def since(self, instant: datetime, *, limit: int) -> list[Past]:
        """Return the newest handoffs that came in since then, oldest first; those of erased contacts are left out."""
        statement = (
            select(
                _handoff.id,
                _handoff.created_at,
                _handoff.rank,
                _handoff.document,
                _given.c.at.label("given_at"),
                _given.c.rep,
                _left.c.at.label("left_at"),
            )
            .select_from(tables.handoff.outerjoin(_given, true()).outerjoin(_left, true()))
            .where(_handoff.created_at >= instant)
            .order_by(_handoff.created_at.desc(), _handoff.id.desc())
            .limit(limit)
        )
        found = []
        async with self._engine.connect() as connection:
            for row in reversed((await connection.execute(statement)).all()):
                ready = read_ready(row.document)
                if is_stripped(ready):
                    continue
                found.append(
                    Past(
                        id=row.id,
                        contact=ready.contact,
                        arrived_at=row.created_at,
                        rank=row.rank,
                        respond=ready.respond,
                        rep=row.rep,
                        busy=row.left_at - row.given_at if row.left_at and row.given_at else None,
                    )
                )
        return found
