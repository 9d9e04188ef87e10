"""Standing: how a contact stands at an instant, under the agreement in force then or under any other version.

Of now only the contact's row is read. What was earlier, and what another version counts differently, is told again from
the touches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.arming import Arming
from services.scorer.domain.instants import from_micros, to_micros
from services.scorer.domain.past_arming import PastArming
from services.scorer.domain.retelling import Retelling, Step
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.store.agreements import Activation, Active, AgreementStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.touches import TouchStore
from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A contact as it is known at an instant, and the terms to hold it against."""

    contact_id: UUID
    as_of: datetime
    state: ContactState
    terms: Terms | None
    arming: Arming | None  # None: it follows a handoff that was made before handoffs were kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about contacts: as of when, None for now, and under which version, None for the one in force."""

    as_of: datetime | None = None
    version: int | None = None


class Standings:
    """Answers questions about contacts."""

    def __init__(
        self, *, touches: TouchStore, agreements: AgreementStore, handoffs: HandoffStore, clock: Clock
    ) -> None:
        self._touches = touches
        self._agreements = agreements
        self._handoffs = handoffs
        self._clock = clock

    async def of(
        self,
        connection: AsyncConnection,
        contact_id: UUID,
        state: ContactState,
        question: Question,
        *,
        active: Active | None,
    ) -> Standing:
        """Return how the contact stands; `active` is what is in force now. Raises AgreementMissing."""
        now = self._clock()
        instant = question.as_of or now
        arming: Arming | None = state.arming.at(to_micros(instant))
        is_known = True  # whether the state is what was known at the instant
        past: PastArming | None = None
        activations: Sequence[Activation] = ()
        if instant < now:
            is_known = not await self._touches.received_after(connection, contact_id, instant)
            activations = await self._agreements.activations(connection)
            steps = await self.handoffs(connection, contact_id, state)
            if (
                not is_known
                or any(step.at > instant for step in steps)
                or any(each.since > instant for each in activations)
            ):
                arming, past = await self._arming_then(connection, state, steps, activations, instant)
        if question.version is not None:
            terms: Terms | None = await self._agreements.terms(connection, question.version)
        elif instant < now:
            terms = await self.in_force(connection, activations, instant)
        else:
            terms = await self._current(connection, state, active)
            return Standing(contact_id=contact_id, as_of=instant, state=state, terms=terms, arming=arming)
        retelling: Retelling | None = None
        if not is_known or (terms is not None and terms.counting != state.counting):
            retelling = Retelling(state, [terms])
        await self._tell_again(connection, contact_id, [each for each in (retelling, past) if each], until=instant)
        return Standing(
            contact_id=contact_id,
            as_of=instant,
            state=retelling.under(terms) if retelling else state,
            terms=terms,
            arming=past.at(to_micros(instant)) if past else arming,
        )

    async def handoffs(self, connection: AsyncConnection, contact_id: UUID, state: ContactState) -> list[Step]:
        """Return handoffs of the contact and what sales said; of what an earlier release made, the newest handoff."""
        found = await self._handoffs.of_contact(connection, contact_id)
        newest = state.arming.handoff_id
        made = {step.handoff_id for step in found if step.kind == "handoff"}
        if newest is None or state.handed_at is None or newest in made:
            return found
        at = from_micros(state.handed_at)
        step = Step(kind="handoff", at=at, handoff_id=newest, reason=state.arming.reason)
        return sorted([*found, step], key=lambda step: step.at)

    async def in_force(
        self, connection: AsyncConnection, activations: Sequence[Activation], instant: datetime
    ) -> Terms | None:
        """Return the terms that were in force at the instant, None before there were any."""
        until_then = [activation.version for activation in activations if activation.since <= instant]
        return await self._agreements.terms(connection, until_then[-1]) if until_then else None

    async def _current(self, connection: AsyncConnection, state: ContactState, active: Active | None) -> Terms | None:
        """Return the active terms, or while a contact is still counted under earlier ones, these."""
        if active is None or not state.agreement or state.counting == active.terms.counting:
            return active.terms if active else None
        return await self._agreements.terms(connection, state.agreement)

    async def _arming_then(
        self,
        connection: AsyncConnection,
        state: ContactState,
        steps: Sequence[Step],
        activations: Sequence[Activation],
        instant: datetime,
    ) -> tuple[Arming | None, PastArming | None]:
        """Return the arming at an earlier instant, or what tells it from the touches until then; neither: unknown.

        It is unknown where an answer tells of a handoff that was made before handoffs were kept.
        """
        known = [step for step in steps if step.at <= instant]
        handoff = next((step for step in reversed(known) if step.kind == "handoff"), None)
        kept = {step.handoff_id for step in steps if step.kind == "handoff"}
        answers = [step for step in known if step.kind != "handoff"]
        if any(step.handoff_id not in kept and (handoff is None or step.at > handoff.at) for step in answers):
            return None, None
        if handoff is None:
            return Arming(), None
        decided_under = (
            await self.in_force(connection, activations, handoff.at)
            if handoff.agreement is None
            else await self._agreements.terms(connection, handoff.agreement)
        )
        if decided_under is None:
            return None, None
        # Touches may have been received before the version that they were decided under came into force.
        since = max([handoff.at, *(each.since for each in activations if each.version == decided_under.version)])
        later = [
            (to_micros(each.since), await self._agreements.terms(connection, each.version))
            for each in activations
            if since < each.since <= instant
        ]
        return None, PastArming(state, handoff, answers=answers, decided_under=decided_under, later=later)

    async def _tell_again(
        self,
        connection: AsyncConnection,
        contact_id: UUID,
        listeners: Sequence[Retelling | PastArming],
        *,
        until: datetime,
    ) -> None:
        if not listeners:
            return
        async for some in self._touches.in_order(connection, contact_id, until=until):
            for judged in some:
                for listener in listeners:
                    listener.take(judged)
