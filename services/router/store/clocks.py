"""The clocks of handoffs: which are to be set, and which are due. One instant each, so that waiting costs nothing."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Integer,
    Uuid,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.store import tables
from services.router.store.handoff_row import Handoff, read_handoff

_handoff = tables.handoff.c

_CLOCKED = literal_column("state IN ('ready', 'assigned', 'reassigned', 'expired')", Boolean)

# Built once: these run for every handoff. Whoever answers a handoff at the moment holds its row, and stops its clock.
_UNSET = (
    select(tables.handoff)
    .where(_CLOCKED, _handoff.clock_version < bindparam("version", type_=Integer))
    .order_by(_handoff.clock_version, _handoff.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_DUE = (
    select(tables.handoff)
    .where(_handoff.due_at <= bindparam("now", type_=DateTime(timezone=True)))
    .order_by(_handoff.due_at, _handoff.id)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_set = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("starts", type_=ARRAY(DateTime(timezone=True))),
        bindparam("given", type_=ARRAY(DateTime(timezone=True))),
        bindparam("due", type_=ARRAY(DateTime(timezone=True))),
    )
    .table_valued("id", "clock_from", "given_at", "due_at", name="clock")
    .render_derived()
)
_SET = (
    update(tables.handoff)
    .where(_handoff.id == _set.c.id)
    .values(
        clock_from=_set.c.clock_from,
        given_at=_set.c.given_at,
        due_at=_set.c.due_at,
        clock_version=bindparam("version", type_=Integer),
    )
)
_NEXT = select(func.min(_handoff.due_at)).where(_handoff.due_at.is_not(None))
_RUNNING = (
    select(_handoff.state, func.count().label("handoffs"))
    .where(or_(_CLOCKED, literal_column("state = 'escalated'", Boolean)))
    .group_by(_handoff.state)
)
_NEXT_ONES = select(tables.handoff).where(_handoff.due_at.is_not(None)).order_by(_handoff.due_at, _handoff.id)
_ANY_UNSET = select(
    select(_handoff.id).where(_CLOCKED, _handoff.clock_version < bindparam("version", type_=Integer)).exists()
)


class ClockStore:
    """SQL about clocks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def look(self, *, version: int) -> tuple[bool, datetime | None]:
        """Return whether any clock is to be set for this version of the team, and when the next is due."""
        async with self._engine.connect() as connection:
            unset = await connection.scalar(_ANY_UNSET, {"version": version})
            return bool(unset), await connection.scalar(_NEXT)

    async def running(self) -> dict[str, int]:
        """Return how many handoffs wait for an answer, by state."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_RUNNING)
            return {row.state: row.handoffs for row in rows}

    async def page(self, *, after: tuple[datetime, UUID] | None, until: datetime | None, limit: int) -> list[Handoff]:
        """Return handoffs by when their clock does something, the next first: those after the place, and until then."""
        statement = _NEXT_ONES.limit(limit)
        if after:
            statement = statement.where(tuple_(_handoff.due_at, _handoff.id) > tuple_(*after))
        if until:
            statement = statement.where(_handoff.due_at <= until)
        async with self._engine.connect() as connection:
            return [read_handoff(row) for row in await connection.execute(statement)]

    async def lock_unset(self, connection: AsyncConnection, *, version: int, limit: int) -> list[Handoff]:
        """Lock and return handoffs whose clock is of an older version of the team, or not set."""
        rows = await connection.execute(_UNSET, {"version": version, "most": limit})
        return [read_handoff(row) for row in rows]

    async def lock_due(self, connection: AsyncConnection, *, now: datetime, limit: int) -> list[Handoff]:
        """Lock and return handoffs whose clock is due, the longest due first."""
        return [read_handoff(row) for row in await connection.execute(_DUE, {"now": now, "most": limit})]

    async def set(
        self,
        connection: AsyncConnection,
        clocks: Sequence[tuple[UUID, datetime, datetime | None, datetime | None]],
        *,
        version: int,
    ) -> None:
        """Set clocks: the handoff, since when it runs, since when its owner has it, and when it is due."""
        if clocks:
            ids, starts, given, due = zip(*clocks, strict=True)
            values = {"ids": ids, "starts": starts, "given": given, "due": due}
            await connection.execute(_SET, {name: list(value) for name, value in values.items()} | {"version": version})
