"""Overruling: a person says that a touch counts after all, or that it does not."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.domain.deciding import Decision, settle
from services.scorer.domain.merging import path_of
from services.scorer.domain.recounting import recount
from services.scorer.domain.verdict import Judged
from services.scorer.errors import TouchMissing
from services.scorer.holding import Holding
from services.scorer.repricing import reprice
from services.scorer.roster import Marks, Roster
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore, all_of
from services.scorer.store.touches import TouchStore
from services.scorer.telling import Telling
from shared.clock import Clock


class Overruling:
    """Keeps what people decide about touches, and counts their contacts again."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        holding: Holding,
        telling: Telling,
        roster: Roster,
        contacts: ContactStore,
        touches: TouchStore,
        agreements: AgreementStore,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._holding = holding
        self._telling = telling
        self._roster = roster
        self._contacts = contacts
        self._touches = touches
        self._agreements = agreements
        self._clock = clock

    async def overrule(self, contact_id: UUID, touch_id: UUID, *, trusted: bool, by: str) -> Judged:
        """Let a touch count, or not, whatever speaks against it, and decide its contact as of now. Raises TouchMissing.

        Deciding the same again changes nothing.
        """
        now = self._clock()

        async def attempt(also: Collection[UUID]) -> tuple[Judged, list[tuple[UUID, Decision]]]:
            async with self._engine.begin() as connection:
                active = await self._agreements.hold_active(connection)
                terms = active.terms if active else None
                states = await self._holding.lock(connection, {contact_id, *also})
                owner = path_of(contact_id, states)[-1]
                if owner not in states:
                    raise TouchMissing(f"There is no contact {contact_id}.")
                was = states[owner].counted_in
                repriced = await reprice(connection, self._touches, active, {owner: states[owner]})
                decisions = repriced.get(owner, [])
                changed = await self._touches.overrule(connection, owner, touch_id, trusted=trusted, by=by, at=now)
                history = (await self._touches.of_contacts(connection, [owner]))[owner]
                judged = next((kept for kept in history if kept.touch.id == touch_id), None)
                if judged is None:
                    raise TouchMissing(f"The contact {owner} has no touch {touch_id}.")
                if changed:
                    states[owner] = recount(states[owner], history, terms)
                    if terms is not None:
                        cause = f"verdict {touch_id} {now.isoformat()}"
                        decisions += settle(owner, states[owner], terms, at=now, cause=cause)
                decided = [(touch_id, decision) for decision in decisions]
                await self._telling.decided(connection, decided, terms, traces={})
                marks = Marks(active)
                marks.add(owner, states[owner], was=was, at=now)
                await self._roster.keep(connection, marks)
                await self._contacts.save(connection, all_of({owner: states[owner]}))
                return judged, decided

        judged, decided = await self._holding.attempts(attempt)
        self._telling.announce([decision for _, decision in decided])
        return judged
