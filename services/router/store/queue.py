"""The queue: handoffs that wait for a rep."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import ARRAY, DateTime, Integer, Text, Uuid, bindparam, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.handoff import State
from services.router.domain.queue import Assignment, Queued, Waiting
from services.router.store import tables
from services.router.store.handoffs import read_ready

_handoff = tables.handoff.c

# Built once: each is run for every handoff.
_WAITING = (
    select(tables.handoff)
    .where(
        _handoff.state == literal_column(f"'{State.READY}'"),  # in the text, as the partial index has it
        or_(
            _handoff.pool == func.any(bindparam("pools", type_=ARRAY(Text))),
            _handoff.team_version.is_distinct_from(bindparam("team_version", type_=Integer)),
        ),
    )
    .order_by(_handoff.decided_at, _handoff.id)
    .limit(bindparam("most", type_=Integer))
)
_given = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("pools", type_=ARRAY(Text)),
        bindparam("versions", type_=ARRAY(Integer)),
        bindparam("reps", type_=ARRAY(Text)),
    )
    .table_valued("id", "pool", "version", "rep", name="given")
    .render_derived()
)
_SAVE_ASSIGNED = (
    update(tables.handoff)
    .where(_handoff.id == _given.c.id)
    .values(
        state=State.ASSIGNED,
        state_since=bindparam("now", type_=DateTime(timezone=True)),
        pool=_given.c.pool,
        team_version=_given.c.version,
        rep=_given.c.rep,
        assignments=_handoff.assignments + 1,
        steps=_handoff.steps + 1,
    )
)


class QueueStore:
    """SQL about the queue."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def waiting(
        self, connection: AsyncConnection, *, pools: Sequence[str], team_version: int, limit: int
    ) -> list[Waiting]:
        """Return what waits in these pools, or for a pool under this version of the team; oldest first."""
        rows = await connection.execute(_WAITING, {"pools": list(pools), "team_version": team_version, "most": limit})
        return [
            Waiting(
                id=row.id,
                contact_id=row.contact_id,
                ready=read_ready(row.document),
                pool=row.pool,
                team_version=row.team_version,
                assignments=row.assignments,
                steps=row.steps,
                traceparent=row.traceparent,
            )
            for row in rows
        ]

    async def unowned(self) -> tuple[int, datetime | None]:
        """Return how many handoffs are in the queue, and since when the oldest."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(
                    select(func.count(), func.min(_handoff.state_since)).where(_handoff.state == State.READY)
                )
            ).one()
            return row[0], row[1]

    async def save_assigned(
        self, connection: AsyncConnection, assigned: Sequence[Assignment], *, now: datetime
    ) -> None:
        """Give the handoffs to their reps."""
        await connection.execute(
            _SAVE_ASSIGNED,
            {
                "ids": [item.handoff.id for item in assigned],
                "pools": [item.decision.route.pool for item in assigned],
                "versions": [item.decision.team_version for item in assigned],
                "reps": [item.rep for item in assigned],
                "now": now,
            },
        )

    async def save_queued(self, connection: AsyncConnection, queued: Sequence[Queued]) -> None:
        """Note the pools that handoffs wait in, and why they wait."""
        given = (
            func.unnest(
                bindparam("ids", [item.handoff.id for item in queued], ARRAY(Uuid)),
                bindparam("pools", [item.decision.route.pool for item in queued], ARRAY(Text)),
                bindparam("versions", [item.decision.team_version for item in queued], ARRAY(Integer)),
                bindparam("decisions", [msgspec.to_builtins(item.decision) for item in queued], ARRAY(JSONB)),
            )
            .table_valued("id", "pool", "version", "decision", name="given")
            .render_derived()
        )
        await connection.execute(
            update(tables.handoff)
            .where(_handoff.id == given.c.id)
            .values(pool=given.c.pool, team_version=given.c.version, waiting_decision=given.c.decision)
        )
