"""Simulations: what was asked for, who is at it, and how far it is.

One runs at a time. Who is at it holds a lease, which each step extends; a process that dies leaves it to run out, and
another goes on behind the last step. Each step begins by moving `cursor` on from where it was found, under its own
name: so of two processes that both believe to be at it, only one gets on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.errors import SimulationLost, SimulationsWaiting
from services.scorer.store.stretches import LAST
from services.scorer.store.tables import simulated_lead, simulation
from shared.ids import derived_id

LEASE = timedelta(seconds=30)
MOST_ATTEMPTS = 5  # at one step, by processes that died in it
MOST_WAITING = 20
KEPT = 50  # simulations; those of before are forgotten

_CLAIM_LOCK = derived_id("scorer.simulation.claim").int & 0x7FFF_FFFF_FFFF_FFFF
_UNFINISHED = simulation.c.finished_at.is_(None)


class SimulationStatus(StrEnum):
    """How far a simulation came."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One comparison of a draft with the active agreement."""

    id: UUID
    shadow_id: UUID | None = None
    status: SimulationStatus = SimulationStatus.WAITING
    requested_by: str
    requested_at: datetime
    since: datetime
    touched_since: datetime
    until: datetime
    segment: str = ""
    capacity: int | None = None
    draft_version: int | None
    draft_title: str
    draft_hash: str
    draft_text: str
    active_version: int | None
    accounts: bool = False
    cursor: UUID | None = None
    contacts: int = 0
    touches: int = 0
    attempts: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    problem: str | None = None

    @property
    def comparison_id(self) -> UUID:
        """Return what the leads are kept under."""
        return self.shadow_id or self.id

    @property
    def progress(self) -> float:
        """Return which part of all contacts is done, 0 to 1."""
        if self.status is SimulationStatus.DONE:
            return 1.0
        return self.cursor.int / LAST.int if self.cursor else 0.0


_ASKED = (
    *("id", "shadow_id", "status", "requested_by", "requested_at", "since", "touched_since", "until", "segment"),
    *("capacity", "draft_version", "draft_title", "draft_hash", "draft_text", "active_version"),
)


class SimulationStore:
    """The rows of `scorer.simulation`."""

    async def add(self, connection: AsyncConnection, asked: Simulation) -> None:
        """Have it run when its turn comes; the oldest that are finished are forgotten. Raises SimulationsWaiting."""
        waiting = await connection.scalar(select(func.count()).select_from(simulation).where(_UNFINISHED))
        if (waiting or 0) >= MOST_WAITING:
            raise SimulationsWaiting(f"{waiting} simulations wait already. Cancel one, or wait until one is done.")
        await connection.execute(insert(simulation).values({name: getattr(asked, name) for name in _ASKED}))
        newest = select(simulation.c.id).where(simulation.c.shadow_id.is_(None))
        newest = newest.order_by(simulation.c.requested_at.desc(), simulation.c.id.desc()).offset(KEPT)
        gone = list(await connection.scalars(newest))
        if gone:
            await connection.execute(delete(simulated_lead).where(simulated_lead.c.comparison_id.in_(gone)))
            await connection.execute(delete(simulation).where(simulation.c.id.in_(gone)))

    async def add_once(self, connection: AsyncConnection, asked: Simulation) -> None:
        """Have it run unless it was asked for before, under the same id."""
        values = {name: getattr(asked, name) for name in _ASKED}
        await connection.execute(upsert(simulation).values(values).on_conflict_do_nothing())

    async def read(self, connection: AsyncConnection, simulation_id: UUID) -> Simulation | None:
        """Return one that somebody asked for."""
        row = (
            await connection.execute(
                select(simulation).where(simulation.c.id == simulation_id, simulation.c.shadow_id.is_(None))
            )
        ).one_or_none()
        return None if row is None else _simulation(row)

    async def page(
        self, connection: AsyncConnection, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Simulation]:
        """Return those that somebody asked for, newest first."""
        column = simulation.c
        statement = select(simulation).where(column.shadow_id.is_(None))
        if before is not None:
            at, simulation_id = before
            statement = statement.where(
                or_(column.requested_at < at, and_(column.requested_at == at, column.id < simulation_id))
            )
        statement = statement.order_by(column.requested_at.desc(), column.id.desc()).limit(limit)
        return [_simulation(row) for row in await connection.execute(statement)]

    async def claim(self, connection: AsyncConnection, owner: str, *, now: datetime) -> Simulation | None:
        """Return what is to be done now, as the owner's; None while there is nothing, or another process is at it."""
        await connection.execute(select(func.pg_advisory_xact_lock(_CLAIM_LOCK)))
        column = simulation.c
        first = select(simulation).where(_UNFINISHED)
        first = first.order_by((column.status == "running").desc(), column.requested_at, column.id).limit(1)
        row = (await connection.execute(first.with_for_update())).one_or_none()
        if row is None:
            return None
        is_held = select(column.lease_until > func.clock_timestamp()).where(column.id == row.id)
        if row.status == "running" and await connection.scalar(is_held):
            return None
        if row.attempts >= MOST_ATTEMPTS:
            problem = (
                f"It was begun {row.attempts} times at one place and never got on; the log of the scorer says why."
            )
            await self._end(connection, row.id, SimulationStatus.FAILED, now=now, problem=problem)
            return None
        claimed = (
            update(simulation)
            .where(column.id == row.id)
            .values(
                status=SimulationStatus.RUNNING,
                owner=owner,
                lease_until=func.clock_timestamp() + LEASE,
                attempts=column.attempts + 1,
                started_at=func.coalesce(column.started_at, bindparam("now", now, column.started_at.type)),
            )
            .returning(simulation)
        )
        return _simulation((await connection.execute(claimed)).one())

    async def held(self, connection: AsyncConnection, simulation_id: UUID, *, owner: str) -> Simulation:
        """Return what the owner has claimed. Raises SimulationLost."""
        mine = and_(simulation.c.id == simulation_id, simulation.c.owner == owner, simulation.c.status == "running")
        row = (await connection.execute(select(simulation).where(mine))).one_or_none()
        if row is None:
            raise _lost(simulation_id)
        return _simulation(row)

    async def advance(
        self, connection: AsyncConnection, held: Simulation, *, to: UUID, contacts: int, touches: int
    ) -> None:
        """Move on from where it was found; the first statement of a step. Raises SimulationLost."""
        await self._step(
            connection,
            held,
            cursor=to,
            contacts=simulation.c.contacts + contacts,
            touches=simulation.c.touches + touches,
            attempts=0,
            lease_until=func.clock_timestamp() + LEASE,
        )

    async def stay(self, connection: AsyncConnection, held: Simulation) -> None:
        """Extend the lease in the middle of a step. Raises SimulationLost."""
        await self._step(connection, held, lease_until=func.clock_timestamp() + LEASE)

    async def finish(self, connection: AsyncConnection, held: Simulation, *, now: datetime) -> None:
        """Note that all is done, accounts too. Raises SimulationLost."""
        ended = {"status": SimulationStatus.DONE, "finished_at": now, "owner": None, "lease_until": None}
        await self._step(connection, held, accounts=True, **ended)

    async def fail(self, connection: AsyncConnection, held: Simulation, problem: str, *, now: datetime) -> None:
        """Note that it cannot be done, and why. Raises SimulationLost."""
        values = {"status": SimulationStatus.FAILED, "finished_at": now, "problem": problem, "owner": None}
        await self._step(connection, held, **values)

    async def release(self, connection: AsyncConnection, held: Simulation) -> None:
        """Let another process go on with it at once, if it is still the owner's."""
        mine = and_(simulation.c.id == held.id, simulation.c.owner == held.owner, _UNFINISHED)
        await connection.execute(update(simulation).where(mine).values(lease_until=func.clock_timestamp()))

    async def cancel(self, connection: AsyncConnection, simulation_id: UUID, *, now: datetime) -> None:
        """End it, whoever is at it; one that has ended stays as it is."""
        await self._end(connection, simulation_id, SimulationStatus.CANCELLED, now=now)

    async def cancel_shadow(self, connection: AsyncConnection, shadow_id: UUID, *, now: datetime) -> None:
        """End what is still to be compared for the shadow."""
        waiting = select(simulation.c.id).where(simulation.c.shadow_id == shadow_id, _UNFINISHED)
        for simulation_id in (await connection.scalars(waiting)).all():
            await self._end(connection, simulation_id, SimulationStatus.CANCELLED, now=now)

    async def _end(
        self,
        connection: AsyncConnection,
        simulation_id: UUID,
        status: SimulationStatus,
        *,
        now: datetime,
        problem: str | None = None,
    ) -> None:
        ended = update(simulation).where(simulation.c.id == simulation_id, _UNFINISHED)
        await connection.execute(
            ended.values(status=status, finished_at=now, problem=problem, owner=None, lease_until=None)
        )

    async def _step(self, connection: AsyncConnection, held: Simulation, **values: Any) -> None:
        column = simulation.c
        mine = and_(
            column.id == held.id,
            column.owner == held.owner,
            column.status == "running",
            column.cursor.is_not_distinct_from(held.cursor),
        )
        if not (await connection.execute(update(simulation).where(mine).values(**values))).rowcount:
            raise _lost(held.id)


def _lost(simulation_id: UUID) -> SimulationLost:
    return SimulationLost(f"The simulation {simulation_id} was cancelled, or another process goes on with it.")


def _simulation(row: Row[Any]) -> Simulation:
    return Simulation(**{**row._mapping, "status": SimulationStatus(row.status)})  # noqa: SLF001  # its public name for a mapping
