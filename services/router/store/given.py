"""What reps were given within the last day, by the minute."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, DateTime, Integer, Text, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.availability import DAY, Given
from services.router.store import tables

_given = tables.given.c
_KEPT = DAY + timedelta(hours=1)  # the clocks of two routers may differ

# Built once: every assignment runs them.
_counted = (
    func.unnest(bindparam("reps", type_=ARRAY(Text)), bindparam("counts", type_=ARRAY(Integer)))
    .table_valued("rep", "count", name="counted")
    .render_derived()
)
_now = bindparam("now", type_=DateTime(timezone=True))
_ADD = insert(tables.given).from_select(
    ["rep", "minute", "last_at", "count"],
    select(_counted.c.rep, func.date_trunc("minute", _now), _now, _counted.c.count),
)
_ADD = _ADD.on_conflict_do_update(
    index_elements=["rep", "minute"],
    set_={
        "count": _given.count + _ADD.excluded["count"],
        "last_at": func.greatest(_given.last_at, _ADD.excluded.last_at),
    },
)
_RECENT = (
    select(_given.rep, _given.last_at, _given["count"])
    .where(_given.rep == func.any(bindparam("reps", type_=ARRAY(Text))), _given.last_at > bindparam("since"))
    .order_by(_given.last_at)
)


class GivenStore:
    """SQL about what was given. Whoever writes holds the lock of the team."""

    async def recent(
        self, connection: AsyncConnection, reps: Sequence[str], *, now: datetime
    ) -> dict[str, tuple[Given, ...]]:
        """Return what these reps were given within the last day, oldest first."""
        found: dict[str, list[Given]] = {}
        if reps:
            for rep, last_at, count in await connection.execute(_RECENT, {"reps": list(reps), "since": now - DAY}):
                found.setdefault(rep, []).append(Given(last_at, count))
        return {rep: tuple(given) for rep, given in found.items()}

    async def add(self, connection: AsyncConnection, reps: Iterable[str], *, now: datetime) -> None:
        """Count one handoff for each mention of a rep."""
        counts = Counter(reps)
        await connection.execute(_ADD, {"reps": list(counts), "counts": list(counts.values()), "now": now})

    async def forget(self, connection: AsyncConnection, *, now: datetime) -> None:
        """Remove what no cap looks back at any more."""
        await connection.execute(delete(tables.given).where(_given.last_at < now - _KEPT))
