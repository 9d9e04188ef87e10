"""Replaying: an agreement that counts otherwise comes into force at once for everybody, once it is counted.

Both sides have signed, and the version before stays in force. All contacts' touches are counted under the new one in
the background, beside the counts that hold; what arrives meanwhile is counted under both, in the transaction that
brings it. When nobody is left, the new version is in force from one instant on.

Each step is a transaction of its own. A process that is killed leaves whole contacts and a mark how far it came; the
next one, or another that runs beside it, goes on from there.
"""

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.domain.counting import is_prepared, prepare
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore, all_of
from services.scorer.store.replays import ReplayStore
from services.scorer.store.touches import TouchStore
from shared.clock import Clock
from shared.telemetry.metrics import Metrics


class Replaying:
    """Counts contacts under the agreement that is about to be in force, and then puts it in force."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        agreements: AgreementStore,
        contacts: ContactStore,
        touches: TouchStore,
        replays: ReplayStore,
        metrics: Metrics,
        clock: Clock,
        on_activation: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._agreements = agreements
        self._contacts = contacts
        self._touches = touches
        self._replays = replays
        self._metrics = metrics
        self._clock = clock
        self._on_activation = on_activation

    async def go_on(self, *, limit: int) -> int:
        """Count some contacts, or put the agreement in force; return how many steps that was: 0 when nothing waits."""
        version = await self._agreements.upcoming(self._engine)
        if version is None:
            self._metrics.replay_progress.set(1)
            return 0
        gone_through = await self._count_some(version, limit=limit)
        if gone_through is not None:
            return max(1, gone_through)
        return 1 if await self._put_in_force(version) else 0

    async def _count_some(self, version: int, *, limit: int) -> int | None:
        """Return how many contacts were gone through; None when no slice is left for us, or the version is replaced."""
        async with self._engine.begin() as connection:
            # Held: nobody changes which version is upcoming before these counts are there.
            active = await self._agreements.hold_active(connection)
            upcoming = active.terms.upcoming if active else None
            if upcoming is None or upcoming.version != version:
                return None
            part = await self._replays.claim(connection, version)
            if part is None:
                return None
            states = await self._contacts.lock_range(connection, after=part.after, until=part.until, limit=limit)
            missing = {
                contact_id: state
                for contact_id, state in states.items()
                if state.merged_into is None and not is_prepared(state, upcoming)
            }
            histories = await self._touches.of_contacts(connection, missing.keys())
            for contact_id, state in missing.items():
                prepare(state, histories[contact_id], upcoming)
            await self._contacts.save(connection, all_of(missing))
            await self._replays.advance(connection, part, list(states))
            progress = await self._replays.progress(connection, version)
        self._metrics.contacts_replayed.inc(len(states))
        self._metrics.replay_progress.set(progress.share if progress else 1)
        return len(states)

    async def _put_in_force(self, version: int) -> bool:
        """Put the version in force if all is counted; tell whether it is."""
        async with self._engine.connect() as connection:
            if not await self._replays.is_done(connection, version):
                return False  # others work on what is left
        async with self._engine.begin() as connection:
            is_active = await self._agreements.put_in_force(connection, version, clock=self._clock)
        if is_active:
            self._on_activation()
        return is_active
