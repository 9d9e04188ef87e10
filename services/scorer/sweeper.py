"""Contacts that are decided though nothing came of them: under a new agreement, and by time alone."""

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.domain.deciding import pass_time
from services.scorer.repricing import reprice
from services.scorer.roster import Marks, Roster
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore, Lane, all_of
from services.scorer.store.touches import TouchStore
from services.scorer.telling import Telling
from shared.clock import Clock


class Sweeper:
    """Goes through contacts, some in each transaction, leaving out those that somebody else holds."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        telling: Telling,
        roster: Roster,
        contacts: ContactStore,
        touches: TouchStore,
        agreements: AgreementStore,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._telling = telling
        self._roster = roster
        self._contacts = contacts
        self._touches = touches
        self._agreements = agreements
        self._clock = clock

    async def apply_agreement(self, *, limit: int, lane: Lane | None = None) -> int:
        """Decide contacts under the active agreement that were last decided under another; return how many.

        Each contact is decided once, as of the instant of activation, by whichever process gets hold of it first. In a
        lane they are taken in the order of their ids, and the lane moves on.
        """
        async with self._engine.begin() as connection:
            active = await self._agreements.hold_active(connection)
            if active is None:
                return 0
            version = active.terms.version
            if lane is None:
                states = await self._contacts.lock_outdated(connection, version, limit=limit)
            else:
                states = await self._contacts.lock_outdated_in(connection, version, lane, limit=limit)
            if not states:
                return 0
            before = {contact_id: state.counted_in for contact_id, state in states.items()}
            repriced = await reprice(connection, self._touches, active, states)
            decided = [(contact_id, decision) for contact_id, each in repriced.items() for decision in each]
            await self._telling.decided(connection, decided, active.terms, traces={})
            marks = Marks(active)
            for contact_id, state in states.items():
                marks.add(contact_id, state, was=before[contact_id])
            await self._roster.keep(connection, marks)
            await self._contacts.save(connection, all_of(states))
        self._telling.announce(decision for _, decision in decided)
        if lane is not None:
            lane.after = next(reversed(states))
        return len(states)

    async def arm_cooled(self, *, limit: int) -> int:
        """Let time alone arm contacts, and change their stage, where it is due; return how many."""
        now = self._clock()
        async with self._engine.begin() as connection:
            active = await self._agreements.hold_active(connection)
            terms = active.terms if active else None
            states = await self._contacts.lock_cooled(connection, now, limit=limit)
            decided = [
                (contact_id, decision)
                for contact_id, state in states.items()
                for decision in pass_time(contact_id, state, terms, now=now)
            ]
            await self._telling.decided(connection, decided, terms, traces={})
            await self._contacts.save(connection, all_of(states))
        self._telling.announce(decision for _, decision in decided)
        return len(states)
