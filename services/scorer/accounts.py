"""Accounts decided: whoever gets hold of one that is due looks at its people and decides, in one transaction.

Killed at any line, the transaction is void: the marks are there again, and so is what they were about. With several
processes each account is decided by one of them at a time. A mark is committed with the contact that it is about, so
whoever takes a mark away and then reads the contacts sees at least that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf, log2
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.domain.account import AccountState, assess_account, chosen, engaged, foresee_fall, take_stock
from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.deciding import Handoff, hand_off_for
from services.scorer.domain.instants import to_micros
from services.scorer.domain.rollup import Rollup, roll_up
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import AccountTerms, Terms
from services.scorer.store.accounts import AccountStore, Looked, People
from services.scorer.store.agreements import Active, AgreementStore
from services.scorer.store.contacts import ContactStore, all_of
from services.scorer.telling import Telling
from shared.clock import Clock
from shared.telemetry.metrics import Metrics


@dataclass(slots=True)
class _Look:
    """One account while it is looked at. The instant is in microseconds."""

    state: AccountState
    people: People
    at: int
    rollup: Rollup
    crossed: bool = False


class AccountDecider:
    """Decides accounts that are due."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        accounts: AccountStore,
        contacts: ContactStore,
        agreements: AgreementStore,
        telling: Telling,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._contacts = contacts
        self._agreements = agreements
        self._telling = telling
        self._metrics = metrics
        self._clock = clock

    async def decide(self, *, limit: int) -> int:
        """Look at accounts that are due, and hand off those that crossed their threshold; return how many."""
        async with self._engine.begin() as connection:
            active = await self._agreements.hold_active(connection)
            if active is None or active.terms.accounts is None:
                return 0
            due = await self._accounts.take_due(connection, limit=limit)
            decided = await self._look(connection, due, active, active.terms.accounts) if due else []
        self._telling.announce(decided)
        self._metrics.accounts_decided.inc(len(due))
        return len(due)

    async def arm_cooled(self, *, limit: int) -> int:
        """Arm accounts whose engagement has fallen or whose cool-down is over; return how many.

        What was not known then is decided as of then all the same: an armed account remembers since when it is.
        """
        now = self._clock()
        async with self._engine.begin() as connection:
            cooled = await self._accounts.lock_cooled(connection, now, limit=limit)
            for state in cooled.values():
                state.arming = state.arming.at(to_micros(now))
            await self._accounts.save_cooled(connection, cooled)
        return len(cooled)

    async def _look(
        self,
        connection: AsyncConnection,
        due: Mapping[UUID, tuple[AccountState, datetime]],
        active: Active,
        accounts: AccountTerms,
    ) -> list[Handoff]:
        terms = active.terms
        people = await self._accounts.people(connection, due)
        handed = await self._handed(connection, [state for state, _ in due.values()])
        looks: dict[UUID, _Look] = {}
        for account_id, (state, marked_at) in due.items():
            if any(contact.agreement != terms.version for _, contact in people[account_id]):
                continue  # each of them is decided under the new version soon, and has the account looked at then
            at = max(to_micros(marked_at), to_micros(active.since), state.as_of or 0)
            looks[account_id] = look = _Look(
                state, people[account_id], at, roll_up(people[account_id], terms, accounts, at)
            )
            arming = handed.get(state.contact_id) if state.contact_id else None
            look.crossed = take_stock(state, look.rollup, terms, accounts, handed=arming, at=at)
        decided = await self._hand_off(connection, looks, terms, accounts)
        gone = [account_id for account_id, look in looks.items() if _is_void(look)]
        await self._accounts.save(
            connection, {account_id: _looked(look, terms) for account_id, look in looks.items() if not _is_void(look)}
        )
        await self._accounts.remove(connection, gone)
        return decided

    async def _handed(self, connection: AsyncConnection, states: list[AccountState]) -> dict[UUID, Arming]:
        """Return the armings of the contacts that accounts were handed off with, or of those that they live on in."""
        armings = {}
        for state in states:
            if state.contact_id is not None and state.arming.handoff_id is not None:
                found = await self._contacts.find(connection, state.contact_id)
                if found is not None:
                    armings[state.contact_id] = found[1].arming
        return armings

    async def _hand_off(
        self, connection: AsyncConnection, looks: Mapping[UUID, _Look], terms: Terms, accounts: AccountTerms
    ) -> list[Handoff]:
        """Hand off accounts that crossed, once more looked at with all of their people held."""
        crossed = {account_id: look for account_id, look in looks.items() if look.crossed}
        if not crossed:
            return []
        # All in one statement, in the order of their ids: who holds a contact never waits for us in a circle.
        held = await self._contacts.lock(
            connection, {contact_id for look in crossed.values() for contact_id, _ in look.people}
        )
        decided: list[Handoff] = []
        changed: dict[UUID, ContactState] = {}
        for account_id, look in crossed.items():
            still = [
                (contact_id, held[contact_id])
                for contact_id, _ in look.people
                if contact_id in held and held[contact_id].counted_in == account_id
            ]
            if any(state.agreement != terms.version for _, state in still):
                continue
            look.people = still
            look.rollup = roll_up(still, terms, accounts, look.at)
            person = chosen(look.rollup)
            if person is None or not assess_account(look.rollup, accounts).ready:
                continue
            cause = f"account {account_id} {look.state.handoffs + 1} {look.at}"
            handoff = hand_off_for(
                engaged(account_id, look.rollup), person.contact_id, person.state, terms, at=look.at, cause=cause
            )
            look.state.arming = look.state.arming.handed_off(handoff.id, "account", level=accounts.rearm_below)
            look.state.contact_id = person.contact_id
            look.state.handoffs += 1
            foresee_fall(look.state, look.rollup, terms, accounts, look.at)
            changed[person.contact_id] = person.state
            decided.append(handoff)
        await self._telling.decided(
            connection, [(handoff.contact.id, handoff) for handoff in decided], terms, traces={}
        )
        await self._contacts.save(connection, all_of(changed))
        return decided


def _looked(look: _Look, terms: Terms) -> Looked:
    domain = next((state.account_domain() for _, state in look.people), "")
    return Looked(look.state, domain, rank_of(look.rollup.engagement, terms, look.at))


def _is_void(look: _Look) -> bool:
    """Tell whether nobody counts for the account, and nothing was promised about it."""
    return not look.people and look.state.arming.kind is ArmingKind.ARMED


def rank_of(engagement: float, terms: Terms, at: int) -> float:
    """Return a number that orders accounts looked at at different instants: it is constant while no cap lets go."""
    return log2(engagement) + at / terms.half_life if engagement > 0 else -inf
