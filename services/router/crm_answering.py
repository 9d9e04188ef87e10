"""Taking what a CRM sends: each item one transaction, and all of it kept with what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.answering import Answers
from services.router.domain.answer import Answer, steps_to
from services.router.domain.crm_body import read_body
from services.router.domain.crm_mapping import CrmEvent, CrmMapping, read_events
from services.router.domain.handoff import State, Step, Taken
from services.router.domain.money import problem_with
from services.router.errors import AnswerRefused, CrmUnreadable, HandoffMissing, IllegalStep
from services.router.store.crm import KEPT_BYTES, CrmStore
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from shared.clock import Clock
from shared.ids import derived_id


class Outcome(StrEnum):
    """What came of an item."""

    TAKEN = "taken"
    UNCHANGED = "unchanged"  # the handoff was there already
    UNKNOWN_HANDOFF = "unknown_handoff"
    UNKNOWN_STATUS = "unknown_status"
    REFUSED = "refused"  # the handoff cannot go there
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class _Readable:
    handoff_id: UUID
    answer: Answer
    left_out: str  # what of it could not be used


@dataclass(frozen=True, slots=True)
class CrmAnswers:
    """Takes the webhooks of CRMs. None fails: what cannot be taken is kept with the reason."""

    engine: AsyncEngine
    crm: CrmStore
    handoffs: HandoffStore
    answers: Answers
    clock: Clock

    async def take(self, endpoint: str, mapping: CrmMapping, body: bytes, content_type: str) -> None:
        """Take all items of a webhook. The same again changes nothing."""
        try:
            events = read_events(mapping, read_body(body, content_type))
        except CrmUnreadable as error:
            async with self.engine.begin() as connection:
                await self._keep(connection, endpoint, body, uuid4(), Outcome.UNREADABLE, str(error))
            return
        for event in events:
            await self._take(endpoint, event, body)

    async def _take(self, endpoint: str, event: CrmEvent, body: bytes) -> None:
        # Without an id of its own it is taken as new, which changes nothing where the handoff is there already.
        answer_id = derived_id("crm", endpoint, event.id, event.handoff, event.status) if event.id else uuid4()
        read = await self._answer(endpoint, event)
        taken: tuple[Handoff, Sequence[Taken]] | None = None
        async with self.engine.begin() as connection:
            if await self.crm.is_known(connection, answer_id):
                return
            known = event.handoff_id if isinstance(read, _Readable) else None
            outcome, message = (Outcome.TAKEN, read.left_out) if isinstance(read, _Readable) else read
            if isinstance(read, _Readable):
                try:
                    taken = await self.answers.take(connection, read.handoff_id, read.answer, way=steps_to)
                    outcome = Outcome.TAKEN if taken[1] else Outcome.UNCHANGED
                except (IllegalStep, AnswerRefused) as error:
                    outcome, message = Outcome.REFUSED, str(error)
            await self._keep(connection, endpoint, body, answer_id, outcome, message, event=event, handoff=known)
        if taken is not None:
            await self.answers.taken(*taken)

    async def _answer(self, endpoint: str, event: CrmEvent) -> "_Readable | tuple[Outcome, str]":
        """Return the answer; or what keeps it from being one, and why."""
        if event.handoff_id is None:
            return Outcome.UNKNOWN_HANDOFF, f"{event.handoff!r} is not the id of a handoff."
        if event.taking is None:
            return Outcome.UNKNOWN_STATUS, f"The mapping has no step for the status {event.status!r}."
        try:
            handoff = await self.handoffs.get(event.handoff_id)
        except HandoffMissing as error:
            return Outcome.UNKNOWN_HANDOFF, str(error)
        step, problem = event.taking.step, None
        amount, currency = (event.amount, event.currency) if step is Step.WIN else (None, None)
        if amount is None or currency is None or (problem := problem_with(amount, currency)):
            amount = currency = None
        # The CRM knows one owner: late, but nobody else has it.
        late = handoff.state is State.EXPIRED and handoff.owners and step is not Step.REJECT
        answer = Answer(
            step=step,
            by=f"crm {endpoint}",
            reason=event.taking.reason,
            note=event.note,
            objection=event.objection,
            amount=amount,
            currency=currency,
            rep=handoff.owners[-1] if late else None,
        )
        return _Readable(handoff.id, answer, left_out=f"The amount is left out: {problem}" if problem else "")

    async def _keep(
        self,
        connection: AsyncConnection,
        endpoint: str,
        body: bytes,
        answer_id: UUID,
        outcome: Outcome,
        message: str,
        *,
        event: CrmEvent | None = None,
        handoff: UUID | None = None,
    ) -> None:
        await self.crm.keep(
            connection,
            id=answer_id,
            endpoint=endpoint,
            received_at=self.clock(),
            outcome=outcome,
            message=message,
            handoff_id=handoff,
            status=event.status if event else None,
            step=event.taking.step if event and event.taking else None,
            body=body[:KEPT_BYTES],
        )
