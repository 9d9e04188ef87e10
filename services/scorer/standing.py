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
    arming: Arming | None  # None: of an instant before later decisions, which is not kept


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
        if instant < now:
            if any(step.at > instant for step in await self.handoffs(connection, contact_id, state)):
                arming = None
            is_known = not await self._touches.received_after(connection, contact_id, instant)
        if question.version is not None:
            terms: Terms | None = await self._agreements.terms(connection, question.version)
        elif instant < now:
            terms = await self.in_force(connection, await self._agreements.activations(connection), instant)
        else:
            terms = await self._current(connection, state, active)
            return Standing(contact_id=contact_id, as_of=instant, state=state, terms=terms, arming=arming)
        if not is_known or (terms is not None and terms.counting != state.counting):
            state = await self._told_again(connection, contact_id, state, terms, instant)
        return Standing(contact_id=contact_id, as_of=instant, state=state, terms=terms, arming=arming)

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

    async def _told_again(
        self, connection: AsyncConnection, contact_id: UUID, state: ContactState, terms: Terms | None, until: datetime
    ) -> ContactState:
        retelling = Retelling(state, [terms])
        async for some in self._touches.in_order(connection, contact_id, until=until):
            for judged in some:
                retelling.take(judged)
        return retelling.under(terms)
