"""Holding: contacts locked for a transaction, with those that they live on in.

Rows are locked in one statement, in the order of their ids, so that two transactions never wait for each other. One
that turns out to be needed later means to roll back and begin again.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.errors import ContactsElsewhere, ContactsMissing, ContactsRaced, TouchesRepeated
from services.scorer.store.contacts import ContactStore
from services.scorer.store.held import Held

_ATTEMPTS = 5  # at creating contacts that another process creates at the same time

_T = TypeVar("_T")


class Holding:
    """Locks contacts, and repeats a transaction until it holds all that it needs."""

    def __init__(self, engine: AsyncEngine, contacts: ContactStore) -> None:
        self._engine = engine
        self._contacts = contacts

    async def attempts(self, attempt: Callable[[Collection[UUID]], Awaitable[_T]]) -> _T:
        """Run a transaction until it goes through; each is told which contacts to hold besides its own.

        Raises ContactsRaced when others were faster again and again.
        """
        also: set[UUID] = set()
        raced = 0
        while True:
            try:
                return await attempt(also)
            except ContactsElsewhere as elsewhere:
                also |= set(elsewhere.ids)
            except ContactsMissing as missing:
                # On its own: it may wait here for whoever creates them too, and must hold nothing meanwhile.
                async with self._engine.begin() as connection:
                    await self._contacts.create(connection, missing.ids)
            except (ContactsRaced, TouchesRepeated):
                raced += 1
                if raced == _ATTEMPTS:
                    raise

    async def lock(self, connection: AsyncConnection, ids: set[UUID], *, needed: Collection[UUID] = ()) -> Held:
        """Lock the contacts that exist and return them. Raises ContactsElsewhere, ContactsMissing.

        `needed` have to exist.
        """
        held = await self._contacts.lock(connection, ids) if ids else Held()
        elsewhere = {state.merged_into for state in held.tombstones().values() if state.merged_into is not None} - ids
        if elsewhere:
            raise ContactsElsewhere(elsewhere)
        missing = [contact_id for contact_id in needed if contact_id not in held]
        if missing:
            raise ContactsMissing(missing)
        return held
