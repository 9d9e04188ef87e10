"""Answers of reps: one step of a handoff each, published in the same transaction."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.router.assigning import feedback_messages
from services.router.domain.erasure import is_stripped
from services.router.domain.handoff import ANSWERED, OPEN, Step, Taken, take
from services.router.errors import DifferentAnswer, UnknownReason
from services.router.store.handoffs import Handoff, HandoffStore
from shared.clock import Clock
from shared.postgres.outbox import Outbox


class Answers:
    """Takes answers. `freed` is called after a commit that gave a rep capacity back."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        handoffs: HandoffStore,
        outbox: Outbox,
        clock: Clock,
        freed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._handoffs = handoffs
        self._outbox = outbox
        self._clock = clock
        self._freed = freed

    async def answer(
        self, handoff_id: UUID, step: Step, *, by: str, reason: str | None = None, note: str | None = None
    ) -> Handoff:
        """Take the step, or nothing when it was taken already, and return the handoff.

        Raises HandoffMissing, IllegalStep, UnknownReason, DifferentAnswer.
        """
        async with self._engine.begin() as connection:
            handoff = await self._handoffs.lock(connection, handoff_id)
            if reason is not None and reason not in handoff.ready.reject_reasons:
                raise UnknownReason(reason, known=handoff.ready.reject_reasons)
            if handoff.state in ANSWERED[step]:
                if reason != handoff.reason and step is Step.REJECT:
                    raise DifferentAnswer(handoff.reason or "")
                return handoff
            kept = None if is_stripped(handoff.ready) else note  # nothing is written about who was erased
            steps = self._steps(handoff, step, by=by, reason=reason, note=kept)
            await self._handoffs.move(connection, steps)
            await self._outbox.put(connection, feedback_messages((taken, handoff.traceparent) for taken in steps))
        self._outbox.announce()
        if handoff.state in OPEN and steps[-1].after not in OPEN:
            self._freed()
        return await self._handoffs.get(handoff_id)

    def _steps(self, handoff: Handoff, step: Step, *, by: str, reason: str | None, note: str | None) -> list[Taken]:
        """Return the step; a rejected handoff goes back to marketing at once."""
        state, steps = handoff.state, []
        for number, each in enumerate((step, Step.RECYCLE) if step is Step.REJECT else (step,), handoff.steps + 1):
            after = take(state, each)
            steps.append(
                Taken(
                    handoff_id=handoff.id,
                    contact_id=handoff.contact_id,
                    number=number,
                    at=self._clock(),
                    step=each,
                    before=state,
                    after=after,
                    by=by,
                    rep=handoff.rep,
                    reason=reason,
                    note=note,
                )
            )
            state = after
        return steps
