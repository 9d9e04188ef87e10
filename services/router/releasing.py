"""Releasing: somebody ends what a rule holds a handoff for."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.domain.assignment import Outcome
from services.router.domain.decision_words import read_decision
from services.router.domain.handoff import State
from services.router.errors import NotHeld
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.queue import QueueStore


class Releaser:
    """Releases handoffs. `released` is called after the commit."""

    def __init__(
        self, *, engine: AsyncEngine, handoffs: HandoffStore, queue: QueueStore, released: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._handoffs = handoffs
        self._queue = queue
        self._released = released

    async def release(self, handoff_id: UUID) -> Handoff:
        """Let the handoff go on to the rules below the one that holds it. Raises HandoffMissing, NotHeld."""
        async with self._engine.begin() as connection:
            handoff = await self._handoffs.lock(connection, handoff_id)
            decision = read_decision(handoff.waiting_decision) if handoff.waiting_decision else None
            held = decision is not None and any(tried.outcome is Outcome.HELD for tried in decision.tried)
            if handoff.state is not State.READY or not held:
                raise NotHeld(handoff_id, state=handoff.state)
            await self._queue.release(connection, handoff_id)
        self._released()
        return await self._handoffs.get(handoff_id)
