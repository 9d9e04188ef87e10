"""The queue: handoffs that wait for a rep."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import (
    ARRAY,
    Boolean,
    DateTime,
    Integer,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.handoff import OPEN, State
from services.router.domain.queue import Assignment, Queued, Waiting
from services.router.store import tables
from services.router.store.handoff_row import read_ready
from services.router.store.handoffs import NewHandoff

_handoff = tables.handoff.c
_now = bindparam("now", type_=DateTime(timezone=True))
# In the text, as the partial index has it.
_in_queue = literal_column("router.handoff.state IN ('ready', 'expired')", Boolean)

# Built once: each is run for every handoff.
_WAITING = (
    select(tables.handoff)
    .where(
        _in_queue,
        or_(
            _handoff.waits_for.is_(None),
            _handoff.waits_for.overlap(bindparam("free", type_=ARRAY(Text))),
            _handoff.held_until <= _now,
            _handoff.team_version.is_distinct_from(bindparam("team_version", type_=Integer)),
        ),
    )
    .order_by(_handoff.rank, _handoff.decided_at, _handoff.id)
    .limit(bindparam("most", type_=Integer))
)
_NEXT_RELEASE = select(func.min(_handoff.held_until)).where(_in_queue, _handoff.held_until > _now)
_given = (
    func.unnest(
        bindparam("ids", type_=ARRAY(Uuid)),
        bindparam("pools", type_=ARRAY(Text)),
        bindparam("versions", type_=ARRAY(Integer)),
        bindparam("reps", type_=ARRAY(Text)),
        bindparam("starts", type_=ARRAY(DateTime(timezone=True))),
        bindparam("due", type_=ARRAY(DateTime(timezone=True))),
    )
    .table_valued("id", "pool", "version", "rep", "clock_from", "due_at", name="given")
    .render_derived()
)
_SAVE_ASSIGNED = (
    update(tables.handoff)
    .where(_handoff.id == _given.c.id)
    .values(
        state=case((_handoff.state == State.EXPIRED, State.REASSIGNED), else_=State.ASSIGNED),
        state_since=_now,
        pool=_given.c.pool,
        team_version=_given.c.version,
        rep=_given.c.rep,
        assignments=_handoff.assignments + 1,
        steps=_handoff.steps + 1,
        waits_for=None,
        held_until=None,
        clock_from=_given.c.clock_from,
        given_at=_now,
        due_at=_given.c.due_at,
        clock_version=_given.c.version,
    )
)
_SAVE_QUEUED = (
    update(tables.handoff)
    .where(_handoff.id == bindparam("of"))
    .values(
        pool=bindparam("its_pool"),
        team_version=bindparam("its_version"),
        waits_for=bindparam("its_waits_for"),
        held_until=bindparam("its_held_until"),
        waiting_decision=bindparam("its_decision"),
    )
)

_waiting, _other = tables.handoff.alias("waiting").c, tables.handoff.alias("other").c
_latest = (_other.decided_at.desc(), _other.id.desc())
# Whose account and contact it is already. What sales still talks about, or has won, is owned.
_OWNERS = select(
    _waiting.id,
    select(_other.rep)
    .where(
        _other.account_id == _waiting.account_id,
        _other.id != _waiting.id,
        _other.rep.is_not(None),
        _other.state.in_(sorted({*OPEN, State.QUALIFIED, State.WON})),
    )
    .order_by(*_latest)
    .limit(1)
    .scalar_subquery()
    .label("account_rep"),
    select(_other.rep)
    .where(
        _other.contact_id == _waiting.contact_id,
        _other.id != _waiting.id,
        _other.rep.is_not(None),
        _other.state.not_in([State.REJECTED, State.RECYCLED]),
    )
    .order_by(*_latest)
    .limit(1)
    .scalar_subquery()
    .label("previous_rep"),
).where(_waiting.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))


class QueueStore:
    """SQL about the queue."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def waiting(
        self,
        connection: AsyncConnection,
        *,
        free: Sequence[str],
        team_version: int,
        now: datetime,
        limit: int,
        owners: bool,
        arrived: Mapping[UUID, NewHandoff],
    ) -> list[Waiting]:
        """Return what waits for somebody who is free, is held no longer, or was not looked at under this team.

        Hand-raises first, then the oldest. `owners`: with whose account and contact it is already. What has just
        `arrived` is not read again.
        """
        rows = (
            await connection.execute(
                _WAITING, {"free": list(free), "team_version": team_version, "now": now, "most": limit}
            )
        ).all()
        owned = await self._owners(connection, [row.id for row in rows]) if owners and rows else {}
        found = []
        for row in rows:
            new = arrived.get(row.id)
            if new is not None and new.document != row.document:
                new = None  # under the same id, what came first counts
            found.append(
                Waiting(
                    id=row.id,
                    contact_id=row.contact_id,
                    ready=new.ready if new else read_ready(row.document),
                    brief=new.brief if new else None,
                    arrived_at=row.created_at,
                    clock_from=row.clock_from,
                    pool=row.pool,
                    team_version=row.team_version,
                    assignments=row.assignments,
                    steps=row.steps,
                    state=State(row.state),
                    owners=tuple(row.owners),
                    traceparent=row.traceparent,
                    released=row.released,
                    account_rep=owned.get(row.id, (None, None))[0],
                    previous_rep=owned.get(row.id, (None, None))[1],
                )
            )
        return found

    async def _owners(
        self, connection: AsyncConnection, ids: Sequence[UUID]
    ) -> dict[UUID, tuple[str | None, str | None]]:
        rows = await connection.execute(_OWNERS, {"ids": list(ids)})
        return {row.id: (row.account_rep, row.previous_rep) for row in rows}

    async def next_release(self, connection: AsyncConnection, *, now: datetime) -> datetime | None:
        """Return when the next held handoff may go on."""
        found: datetime | None = await connection.scalar(_NEXT_RELEASE, {"now": now})
        return found

    async def unowned(self) -> tuple[int, datetime | None]:
        """Return how many handoffs are in the queue, and since when the oldest."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(func.count(), func.min(_handoff.state_since)).where(_in_queue))
            ).one()
            return row[0], row[1]

    async def release(self, connection: AsyncConnection, handoff_id: UUID) -> None:
        """Let a handoff pass what holds it, from now on; the queue looks at it next."""
        await connection.execute(
            update(tables.handoff)
            .where(_handoff.id == handoff_id)
            .values(released=True, waits_for=None, held_until=None)
        )

    async def save_assigned(
        self, connection: AsyncConnection, assigned: Sequence[Assignment], *, now: datetime
    ) -> None:
        """Give the handoffs to their reps, and set their clocks."""
        await connection.execute(
            _SAVE_ASSIGNED,
            {
                "ids": [item.handoff.id for item in assigned],
                "pools": [item.pool for item in assigned],
                "versions": [item.decision.team_version for item in assigned],
                "reps": [item.rep for item in assigned],
                "starts": [item.clock.came_at for item in assigned],
                "due": [item.clock.due_at for item in assigned],
                "now": now,
            },
        )

    async def save_queued(self, connection: AsyncConnection, queued: Sequence[Queued]) -> None:
        """Note what handoffs wait for, and why they wait."""
        await connection.execute(
            _SAVE_QUEUED,
            [
                {
                    "of": item.handoff.id,
                    "its_pool": item.decision.route.pool,
                    "its_version": item.decision.team_version,
                    "its_waits_for": list(item.decision.waits_for),
                    "its_held_until": item.decision.held_until,
                    "its_decision": msgspec.to_builtins(item.decision),
                }
                for item in queued
            ],
        )
