"""Shadowing: a draft decides beside the active agreement, in silence, and every day is compared when it is over.

A day is compared by a simulation like any other, over the contacts that anything happened to since the last time; it
replays all that they did, so it costs scoring nothing and needs no second state of every contact. What it finds takes
the place of what was found of these contacts before: who is a lead of the draft today and of the active agreement
tomorrow is a lead of both.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.errors import AgreementMissing, NotADraft, ShadowMissing
from services.scorer.store.agreements import AgreementStore, Version
from services.scorer.store.shadows import Shadow, ShadowStore
from services.scorer.store.simulations import Simulation, SimulationStore
from shared.clock import Clock
from shared.ids import derived_id

# A touch may come into the history after the midnight that follows its receipt: it is looked for one day more.
LATE = timedelta(days=1)


class Shadowing:
    """Starts and ends shadows, and has their days compared."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        shadows: ShadowStore,
        simulations: SimulationStore,
        agreements: AgreementStore,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._shadows = shadows
        self._simulations = simulations
        self._agreements = agreements
        self._clock = clock

    async def start(self, connection: AsyncConnection, version: int, *, by: str) -> Shadow:
        """Let a draft decide silently from now on, in place of the one that does. Raises AgreementMissing, NotADraft.

        The one that does again is that one, as it is.
        """
        await self._shadows.hold(connection)
        await self._end_if_over(connection)
        draft = await self._agreements.read(connection, version)
        if draft.status != "draft":
            raise NotADraft(f"Agreement {version} is {draft.status}: only a draft can decide silently.")
        try:
            active = await self._agreements.read_active(connection)
        except AgreementMissing:
            raise NotADraft("No agreement is active that a draft could be compared with. Sign one first.") from None
        running = await self._shadows.running(connection)
        if running is not None and running.version == version:
            return running
        if running is not None:
            await self._end(connection, running, because=f"replaced by agreement {version}")
        shadow_id = uuid4()
        await self._shadows.start(
            connection, shadow_id, version=version, active_version=active.version, by=by, now=self._clock()
        )
        return await self._shadows.read(connection, shadow_id)

    async def stop(self, connection: AsyncConnection, version: int, *, by: str) -> Shadow:
        """Let the draft decide no more. Raises ShadowMissing."""
        await self._shadows.hold(connection)
        await self._end_if_over(connection)
        running = await self._shadows.running(connection)
        if running is None or running.version != version:
            raise ShadowMissing(f"Agreement {version} does not decide silently now.")
        await self._end(connection, running, because=f"stopped by {by}")
        return await self._shadows.read(connection, running.id)

    async def come_due(self) -> None:
        """Have the days compared that are over, and end the shadow whose draft is none any more."""
        async with self._engine.connect() as connection:
            if await self._shadows.running(connection) is None:  # nearly always
                return
        async with self._engine.begin() as connection:
            await self._shadows.hold(connection)
            running = await self._end_if_over(connection)
            if running is not None and running.compared_until < (today := midnight(self._clock())):
                draft = await self._agreements.read(connection, running.version)
                await self._simulations.add_once(connection, _days_of(running, draft, until=today, now=self._clock()))

    async def _end_if_over(self, connection: AsyncConnection) -> Shadow | None:
        """Return what still runs; a shadow ends when another agreement becomes active, its draft or not."""
        running = await self._shadows.running(connection)
        if running is None:
            return None
        active = await self._agreements.read_active(connection)
        if active.version == running.version:
            await self._end(connection, running, because="signed")
        elif active.version != running.active_version:
            await self._end(connection, running, because=f"agreement {active.version} became active")
        else:
            return running
        return None

    async def _end(self, connection: AsyncConnection, running: Shadow, *, because: str) -> None:
        now = self._clock()
        await self._shadows.end(connection, running.id, because=because, now=now)
        await self._simulations.cancel_shadow(connection, running.id, now=now)


def midnight(now: datetime) -> datetime:
    """Return when the day in UTC began."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days_of(running: Shadow, draft: Version, *, until: datetime, now: datetime) -> Simulation:
    return Simulation(
        id=_identity(running.id, until),
        shadow_id=running.id,
        requested_by=running.started_by,
        requested_at=now,
        since=running.started_at,
        touched_since=max(running.started_at, running.compared_until - LATE),
        until=until,
        draft_version=draft.version,
        draft_title=draft.title,
        draft_hash=draft.content_hash,
        draft_text=draft.text,
        active_version=running.active_version,
    )


def _identity(shadow_id: UUID, until: datetime) -> UUID:
    return derived_id("shadow", shadow_id, until.isoformat())
