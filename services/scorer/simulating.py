"""Simulating: a stretch of the history at a time, replayed under the draft and under the active agreement.

Each stretch is one transaction: the cursor moves on, the leads found are kept. Killed at any line, the stretch in hand
is done again by whoever claims the simulation next. Nothing is locked for longer than it takes to keep the leads of one
stretch, and of contacts only those that are leads.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.domain.account_simulation import AccountReplay, has_enough_people
from services.scorer.domain.leads import Lead, Window, find_leads
from services.scorer.domain.segment import segment_of
from services.scorer.domain.simulation import Made, Replay, replayed
from services.scorer.domain.terms import Terms
from services.scorer.errors import AgreementMissing
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import LEASE, Simulation, SimulationStore
from services.scorer.store.stretches import FIRST, Stretch, read_accounts_stretch, read_stretch
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.clock import Clock

ReadStretch = Callable[..., Awaitable[Stretch]]

_DRAFT = 0  # its number as far as deciding is concerned: none that was ever proposed


class Simulating:
    """Does the work of a simulation that this process has claimed."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        simulations: SimulationStore,
        leads: SimulatedLeadStore,
        shadows: ShadowStore,
        handoffs: HandoffStore,
        agreements: AgreementStore,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._simulations = simulations
        self._leads = leads
        self._shadows = shadows
        self._handoffs = handoffs
        self._agreements = agreements
        self._clock = clock

    async def run(self, held: Simulation) -> None:
        """Go through all that is left of it. Raises SimulationLost."""
        try:
            async with self._engine.connect() as connection:
                sides = await self._sides(connection, held)
        except AgreementMissing as error:
            async with self._engine.begin() as connection:
                await self._simulations.fail(connection, held, str(error), now=self._clock())
            return
        read = read_accounts_stretch if any(terms.accounts for terms in sides) else read_stretch
        window = Window(since=held.since, until=held.until, apart=max(terms.agreement.half_life for terms in sides))
        reading = asyncio.create_task(self._read(read, held, held.cursor or FIRST))
        try:
            while True:
                stretch, made = await reading
                if not stretch.is_last:
                    # PostgreSQL reads the next stretch while this one is replayed.
                    reading = asyncio.create_task(self._read(read, held, stretch.end))
                held = await self._keep(held, stretch, made, sides=sides, window=window)
                if stretch.is_last:
                    return
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _sides(self, connection: AsyncConnection, held: Simulation) -> tuple[Terms, ...]:
        """Return the draft, and before it the active agreement if there was one. Raises AgreementMissing."""
        draft = await asyncio.to_thread(parse_agreement, held.draft_text)
        if not isinstance(draft, Agreement):
            raise AgreementMissing(f"This release of Tandem cannot read the draft: {draft[0]}.")
        if held.active_version is None:
            return (replayed(_DRAFT, draft),)
        active = await self._agreements.terms(connection, held.active_version)
        return replayed(active.version, active.agreement), replayed(_DRAFT, draft)

    async def _read(self, read: ReadStretch, held: Simulation, after: UUID) -> tuple[Stretch, dict[UUID, list[Made]]]:
        async with self._engine.connect() as connection:
            stretch = await read(connection, after=after, touched_since=held.touched_since, until=held.until)
            return stretch, await self._handoffs.made(connection, stretch.touches)

    async def _keep(
        self,
        held: Simulation,
        stretch: Stretch,
        made: dict[UUID, list[Made]],
        *,
        sides: Sequence[Terms],
        window: Window,
    ) -> Simulation:
        leads: dict[UUID, list[Lead]] = {}
        segments: dict[UUID, str] = {}
        replays = {contact_id: Replay(contact_id, sides, made.get(contact_id, ())) for contact_id in stretch.touches}
        await self._replay(held, stretch, replays, sides)
        for contact_id, replay in replays.items():
            found = find_leads(replay.sent[0] if len(sides) > 1 else (), replay.sent[-1], replay.made, window)
            if found and held.segment:
                segments[contact_id] = segment_of(held.segment, *replay.profile())
            if found or held.shadow_id is not None:
                leads[contact_id] = found
        async with self._engine.begin() as connection:
            size, contacts = stretch.size(), len(stretch.touches)
            await self._simulations.advance(connection, held, to=stretch.end, contacts=contacts, touches=size)
            held = replace(held, cursor=stretch.end)
            if leads:
                await self._leads.keep(connection, held.comparison_id, leads, segments=segments)
            if stretch.is_last:
                await self._simulations.finish(connection, held, now=self._clock())
                if held.shadow_id is not None:
                    await self._shadows.compared(connection, held.shadow_id, until=held.until)
        return held

    async def _replay(
        self, held: Simulation, stretch: Stretch, replays: Mapping[UUID, Replay], sides: Sequence[Terms]
    ) -> None:
        """Replay together who may make an account ready, and everybody else alone.

        A large account takes longer than the lease.
        """
        renew_at = monotonic() + LEASE.total_seconds() / 3
        colleagues: set[UUID] = set()
        for account_id, people in stretch.accounts.items():
            if not has_enough_people(len(people), sides):
                continue
            colleagues |= people
            account = AccountReplay(account_id, {contact_id: replays[contact_id] for contact_id in people}, sides)
            for _ in account.run({contact_id: stretch.touches[contact_id] for contact_id in people}):
                await asyncio.sleep(0)  # reading the next stretch takes several steps, each of which needs a turn
                if monotonic() > renew_at:
                    async with self._engine.begin() as connection:
                        await self._simulations.stay(connection, held)
                    renew_at = monotonic() + LEASE.total_seconds() / 3
        for contact_id, history in stretch.touches.items():
            if contact_id not in colleagues:
                await asyncio.sleep(0)  # likewise
                replays[contact_id].run(history)
