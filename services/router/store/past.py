"""Past handoffs as a simulation needs them: when each came, who had it, and how long it filled a capacity."""

from datetime import datetime

from sqlalchemy import DateTime, and_, bindparam, func, lateral, or_, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.domain.availability import DAY
from services.router.domain.erasure import is_stripped
from services.router.domain.handoff import OPEN, Step
from services.router.domain.route_simulation import Held, Past, Start
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

# How things stood at an instant. What is not open now, and has not moved since then, was not open then either.
_start = bindparam("start", type_=DateTime(timezone=True))
_day_before = bindparam("day_before", type_=DateTime(timezone=True))
_stood = lateral(
    select(_event.after, _event.rep)
    .where(_event.handoff_id == _handoff.id, _event.at <= _start, _event.rep.is_not(None))
    .order_by(_event.number.desc())
    .limit(1)
).alias("stood")
_ended = lateral(
    select(func.min(_event.at).label("at")).where(
        _event.handoff_id == _handoff.id,
        _event.at > _start,
        _event.before.in_(sorted(OPEN)),
        _event.after.not_in(sorted(OPEN)),
    )
).alias("ended")
_HELD = (
    select(_stood.c.rep, _handoff.contact_id, _handoff.account_id, _ended.c.at.label("until"))
    .select_from(tables.handoff.join(_stood, true()).outerjoin(_ended, true()))
    .where(
        _handoff.created_at < _start,
        or_(_handoff.state.in_(sorted(OPEN)), _handoff.state_since > _start),
        _stood.c.after.in_(sorted(OPEN)),
    )
    .order_by(_handoff.created_at, _handoff.id)
)
_GIVEN = (
    select(_event.rep, _event.at)
    .select_from(tables.handoff.join(tables.handoff_event, _event.handoff_id == _handoff.id))
    .where(
        _handoff.created_at < _start,
        _handoff.state_since > _day_before,
        _event.step.in_([Step.ASSIGN, Step.REASSIGN]),
        _event.at > _day_before,
        _event.at <= _start,
    )
    .order_by(_event.at, _event.handoff_id, _event.number)
)


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

    async def standing(self, instant: datetime) -> Start:
        """Return what reps had open then, of what had come in before, and were given within the day before."""
        async with self._engine.connect() as connection:
            held = await connection.execute(_HELD, {"start": instant})
            given = await connection.execute(_GIVEN, {"start": instant, "day_before": instant - DAY})
            return Start(
                held=[Held(row.rep, row.contact_id, row.account_id, row.until) for row in held],
                given=[(row.rep, row.at) for row in given],
            )
