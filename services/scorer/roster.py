"""Who counts for which account, kept in the transaction that changes a contact, and accounts marked to be looked at.

A transaction about contacts only adds marks, and a row where somebody begins or ceases to count. It waits for nobody
who does the same for the account, nor for whoever decides it.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.instants import to_micros
from services.scorer.domain.rollup import may_count
from services.scorer.domain.state import ContactState
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import Active


class Marks:
    """What contacts change about who counts where, collected one after another. Without accounts there is nothing."""

    def __init__(self, active: Active | None) -> None:
        self._terms = active.terms if active else None
        self._since = active.since if active else None
        self.joined: dict[UUID, UUID] = {}
        self.left: list[UUID] = []
        self.due: dict[UUID, datetime] = {}

    @property
    def needed(self) -> bool:
        """Whether the agreement has accounts."""
        return self._terms is not None and self._terms.accounts is not None

    def add(self, contact_id: UUID, state: ContactState, *, was: UUID | None, at: datetime | None = None) -> None:
        """Note for which account the contact counts now, if for any, and have it looked at. `was`: and before.

        It is decided as of when the newest touch of the contact was received, or something else was told of it; if
        neither is, as of the activation.
        """
        terms = self._terms
        if terms is None or terms.accounts is None:
            return
        if state.domain is None and was is None and state.handed_for is None:
            return
        at = at or self._since
        assert at is not None, "terms that hold were activated"
        now = state.account_id() if may_count(state, terms, terms.accounts, to_micros(at)) else None
        state.counted_in = now
        if now != was:
            if now is None:
                self.left.append(contact_id)
            else:
                self.joined[contact_id] = now
        for account_id in {now, was, state.handed_for}:
            if account_id is not None:
                self.due[account_id] = max(at, self.due.get(account_id, at))


class Roster:
    """Keeps who counts where."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts

    async def keep(self, connection: AsyncConnection, marks: Marks) -> None:
        """Write what was noted; the caller holds the contacts, and saves them afterwards."""
        await self._accounts.join(connection, marks.joined)
        await self._accounts.leave(connection, marks.left)
        await self._accounts.mark(connection, marks.due)

    async def erase(self, connection: AsyncConnection, contacts: Iterable[UUID], *, at: datetime) -> None:
        """Let erased contacts count nowhere; the caller holds them."""
        left = await self._accounts.leave(connection, list(contacts))
        await self._accounts.mark(connection, dict.fromkeys(left, at))
