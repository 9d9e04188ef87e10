"""Answers of sales: steps of a handoff, published in the same transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.assigning import feedback_messages
from services.router.domain.answer import Answer, needs_rep, steps_of
from services.router.domain.clock import between, hours_of
from services.router.domain.erasure import is_stripped
from services.router.domain.handoff import ANSWERED, OPEN, State, Step, Taken, take
from services.router.domain.money import problem_with
from services.router.errors import AmountInvalid, DifferentAnswer, RepNeeded, TooManyAnswers, UnknownReason, UnknownRep
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.postgres.outbox import Outbox
from shared.telemetry.metrics import Metrics

MOST_STEPS = 10_000  # of one handoff, so that nobody fills its history without end

Way = Callable[[State, Step], tuple[Step, ...]]


class Answers:
    """Takes answers. `freed` is called after a commit that gave a rep capacity back."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        teams: TeamStore,
        handoffs: HandoffStore,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
        freed: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._teams = teams
        self._handoffs = handoffs
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._freed = freed

    async def answer(self, handoff_id: UUID, answer: Answer) -> Handoff:
        """Take the answer, or nothing when it was given already, and return the handoff.

        Raises HandoffMissing, IllegalStep, AnswerRefused.
        """
        async with self._engine.begin() as connection:
            before, steps = await self.take(connection, handoff_id, answer, way=steps_of)
        await self.taken(before, steps)
        return await self._handoffs.get(handoff_id)

    async def take(
        self, connection: AsyncConnection, handoff_id: UUID, answer: Answer, *, way: Way
    ) -> tuple[Handoff, Sequence[Taken]]:
        """Take the answer in the caller's transaction; return the handoff before it, and the steps that it took.

        Call `taken` with them after the commit. Raises as `answer` does.
        """
        if problem := problem_with(answer.amount, answer.currency):
            raise AmountInvalid(problem)
        if answer.rep is not None:  # who cannot leave the team meanwhile
            team = await self._teams.lock(connection)
            if team.rep(answer.rep) is None:
                raise UnknownRep(answer.rep, known=[rep.name for rep in team.reps])
        handoff = await self._handoffs.lock(connection, handoff_id)
        if answer.step is Step.REJECT and answer.reason not in handoff.ready.reject_reasons:
            raise UnknownReason(answer.reason or "", known=handoff.ready.reject_reasons)
        if await self._is_given(connection, handoff, answer):
            return handoff, ()
        if handoff.steps >= MOST_STEPS:
            raise TooManyAnswers(MOST_STEPS)
        steps = way(handoff.state, answer.step)
        if needs_rep(handoff.state, steps) and answer.rep is None:
            raise RepNeeded
        taken = _taken(handoff, steps, answer, now=self._clock())
        await self._handoffs.move(connection, taken)
        await self._outbox.put(connection, feedback_messages((step, handoff.traceparent) for step in taken))
        return handoff, taken

    async def taken(self, before: Handoff, steps: Sequence[Taken]) -> None:
        """Do what follows from steps that were committed."""
        if not steps:
            return
        self._outbox.announce()
        if before.state in OPEN and steps[-1].after not in OPEN:
            self._freed()
        if before.given_at is not None and before.answered_at is None and steps[0].step in {Step.ACCEPT, Step.REJECT}:
            team = await self._teams.read()
            hours = hours_of(before.ready.respond, team, pool=before.pool, rep=before.rep)
            elapsed = between(hours.rep, before.given_at, steps[0].at)
            self._metrics.response_seconds.labels(before.pool or "").observe(elapsed.total_seconds())

    async def _is_given(self, connection: AsyncConnection, handoff: Handoff, answer: Answer) -> bool:
        if answer.step in {Step.OBJECTION, Step.STORY}:
            return await self._handoffs.has_said(connection, handoff.id, answer)
        if handoff.state not in ANSWERED[answer.step]:
            return False
        if answer.step is Step.REJECT and answer.reason != handoff.reason:
            raise DifferentAnswer(handoff.reason or "")
        return True


def _taken(handoff: Handoff, steps: Sequence[Step], answer: Answer, *, now: datetime) -> list[Taken]:
    kept = not is_stripped(handoff.ready)  # nothing is written about who was erased
    state, taken = handoff.state, []
    for number, step in enumerate(steps, handoff.steps + 1):
        after = take(state, step)
        # What a step on the way did not say itself is not put into its mouth.
        said = step is answer.step or step is Step.RECYCLE
        taken.append(
            Taken(
                handoff_id=handoff.id,
                contact_id=handoff.contact_id,
                number=number,
                at=now,
                step=step,
                before=state,
                after=after,
                by=answer.by,
                rep=answer.rep or handoff.rep,
                pool=handoff.pool,
                reason=answer.reason if said else None,
                note=answer.note if said and kept else None,
                objection=answer.objection if step is answer.step and kept else None,
                amount=answer.amount if step is answer.step else None,
                currency=answer.currency if step is answer.step else None,
            )
        )
        state = after
    return taken
