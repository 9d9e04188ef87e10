"""Who counts for which account, kept in the transaction that changes a contact, and accounts marked to be looked at.

A transaction about contacts only adds marks, and a row where somebody begins or ceases to count. It waits for nobody
who does the same for the account, nor for whoever decides it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.instants import to_micros
from services.scorer.domain.rollup import may_count
from services.scorer.domain.state import ContactState
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import Active
from shared.events.touch import Touch


def counted(states: Mapping[UUID, ContactState]) -> dict[UUID, UUID]:
    """Return for which account each contact counts, before anything changes."""
    return {contact_id: state.counted_in for contact_id, state in states.items() if state.counted_in is not None}


class Roster:
    """Keeps who counts where. Under an agreement without accounts it does nothing."""

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts

    async def keep(
        self,
        connection: AsyncConnection,
        states: Mapping[UUID, ContactState],
        active: Active | None,
        *,
        before: Mapping[UUID, UUID],
        fresh: Mapping[UUID, Sequence[Touch]] | None = None,
        told: Iterable[tuple[UUID, datetime]] = (),
    ) -> None:
        """Note for which accounts these contacts count now, and have those looked at; call it before saving them.

        An account is decided as of when the newest of `fresh` was received, or of when something else is `told` of its
        contact; if neither is, as of the activation.
        """
        if active is None or active.terms.accounts is None:
            return
        terms, accounts = active.terms, active.terms.accounts
        instants = _instants(fresh or {}, told)
        due: dict[UUID, datetime] = {}
        joined: dict[UUID, UUID] = {}
        left: list[UUID] = []
        for contact_id, state in states.items():
            was = before.get(contact_id)
            if state.domain is None and was is None and state.handed_for is None:
                continue
            at = instants.get(contact_id, active.since)
            now = state.account_id() if may_count(state, terms, accounts, to_micros(at)) else None
            state.counted_in = now
            if now != was:
                if now is None:
                    left.append(contact_id)
                else:
                    joined[contact_id] = now
            for account_id in {now, was, state.handed_for}:
                if account_id is not None:
                    due[account_id] = max(at, due.get(account_id, at))
        await self._accounts.join(connection, joined)
        await self._accounts.leave(connection, left)
        await self._accounts.mark(connection, due)

    async def erase(self, connection: AsyncConnection, contacts: Iterable[UUID], *, at: datetime) -> None:
        """Let erased contacts count nowhere; the caller holds them."""
        left = await self._accounts.leave(connection, list(contacts))
        await self._accounts.mark(connection, dict.fromkeys(left, at))


def _instants(fresh: Mapping[UUID, Sequence[Touch]], told: Iterable[tuple[UUID, datetime]]) -> dict[UUID, datetime]:
    instants = {contact_id: max([touch.received_at for touch in touches]) for contact_id, touches in fresh.items()}
    for contact_id, at in told:
        instants[contact_id] = max(at, instants.get(contact_id, at))
    return instants
