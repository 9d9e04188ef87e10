"""Erasing: all that the scorer knows about a person goes in one transaction, and the other services are told.

Killed at any line, the contact is there whole or gone with the message to the others in the outbox. What is still under
way meets the ids that are kept: whoever takes in touches asks for them after it locked the contacts, and an erasure
holds the contact's row, so that one of the two sees the other.
"""

from collections.abc import Collection, Sequence
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.errors import ContactMissing, ContactsElsewhere
from services.scorer.holding import Holding
from services.scorer.roster import Roster
from services.scorer.store.contacts import ContactStore
from services.scorer.store.erasures import Erasure, ErasureStore
from shared.clock import Clock
from shared.events.contact import ContactErased, encode_contact
from shared.events.topics import TopicName
from shared.ids import MessageId
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.telemetry.metrics import Metrics


class Eraser:
    """Erases contacts on request."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        holding: Holding,
        contacts: ContactStore,
        erasures: ErasureStore,
        roster: Roster,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._holding = holding
        self._contacts = contacts
        self._erasures = erasures
        self._roster = roster
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock

    async def erase(self, contact_id: UUID) -> tuple[Erasure, int]:
        """Erase the contact and all that is known to be the same person; return that, and how many touches went.

        One that was erased before is told to the other services once more. Raises ContactMissing.
        """

        async def attempt(also: Collection[UUID]) -> tuple[Erasure, int]:
            async with self._engine.begin() as connection:
                ids = await self._hold(connection, {contact_id, *also})
                if not ids:
                    return await self._again(connection, contact_id), 0
                return await self._remove(connection, ids)

        erased = await self._holding.attempts(attempt)
        self._outbox.announce()
        return erased

    async def spread(self, contacts: Collection[UUID]) -> None:
        """Erase contacts that turned out to be somebody who was erased, also those that nothing is known of yet."""

        async def attempt(also: Collection[UUID]) -> None:
            async with self._engine.begin() as connection:
                held = await self._hold(connection, {*contacts, *also})
                await self._remove(connection, [*held, *(set(contacts) - set(held))])

        await self._holding.attempts(attempt)
        self._outbox.announce()

    async def _hold(self, connection: AsyncConnection, ids: set[UUID]) -> list[UUID]:
        """Lock the contacts and all that were merged with them; return those that exist, the one that lives on first.

        Raises ContactsElsewhere.
        """
        states = await self._contacts.lock(connection, ids)
        family = {known_as for state in states.values() for known_as in state.merged}
        family |= {state.merged_into for state in states.values() if state.merged_into is not None}
        if family - ids:
            raise ContactsElsewhere(family - ids)
        return sorted(states, key=lambda contact_id: (states[contact_id].merged_into is not None, contact_id.int))

    async def _again(self, connection: AsyncConnection, contact_id: UUID) -> Erasure:
        erasure = await self._erasures.find(connection, contact_id)
        if erasure is None:
            raise ContactMissing(contact_id)
        await self._outbox.put(connection, [_message(erasure)])
        return erasure

    async def _remove(self, connection: AsyncConnection, ids: Sequence[UUID]) -> tuple[Erasure, int]:
        erasure = Erasure(uuid4(), tuple(ids), self._clock())
        await self._erasures.remember(connection, erasure)
        await self._roster.erase(connection, ids, at=erasure.at)
        touches = await self._erasures.remove(connection, ids)
        await self._outbox.put(connection, [_message(erasure)])
        self._metrics.contacts_erased.inc()
        return erasure, touches


def _message(erasure: Erasure) -> OutboxMessage:
    return OutboxMessage(
        id=MessageId(erasure.id),
        topic=TopicName.CONTACTS,
        key=str(erasure.contact_ids[0]).encode(),
        value=encode_contact(ContactErased(id=erasure.id, contact_ids=erasure.contact_ids, at=erasure.at)),
    )
