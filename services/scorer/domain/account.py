"""What is remembered about an account, and what is decided about it.

An account is not decided after each touch but whenever somebody looks at it after one, as of the newest instant that it
heard of. So what it crosses between two looks and leaves again before the second is not seen; what it crosses and keeps
is handed off, once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import msgspec

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.engagement import LARGEST, group_sums, within_caps
from services.scorer.domain.gaps import below
from services.scorer.domain.instants import from_micros
from services.scorer.domain.rollup import Person, Rollup
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import AccountTerms, Terms
from shared.events.handoff import EngagedAccount, EngagedPerson

MOST_PEOPLE = 20  # in a handoff
_HORIZON = 64  # half-lives
_FINENESS = 20_000  # of a half-life: how exactly it is known when an account falls


class AccountState(msgspec.Struct, omit_defaults=True):
    """The state of one account. Changed in place within the transaction that holds its row. Instants: microseconds."""

    arming: Arming = Arming()
    contact_id: UUID | None = None  # whom the latest handoff began with
    handoffs: int = 0
    as_of: int | None = None  # newest instant that it was decided as of


@dataclass(frozen=True, slots=True)
class AccountAssessment:
    """An account as the agreement sees it at one instant. Ready: nothing is missing."""

    rollup: Rollup
    missing: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether the threshold holds, and somebody can be handed off."""
        return not self.missing


def assess_account(rollup: Rollup, accounts: AccountTerms) -> AccountAssessment:
    """Hold an account against its threshold."""
    ready = accounts.ready
    recent = [person for person in rollup.people if person.recent]
    missing = []
    if rollup.engagement < accounts.threshold:
        missing.append(f"engagement {below(rollup.engagement, ready.engagement)} of {ready.engagement:g}")
    if len(recent) < ready.contacts:
        more = ready.contacts - len(recent)
        missing.append(f"{more} more {'person' if more == 1 else 'people'}")
    taken = {role for person in recent for role in person.roles}
    missing += [f"nobody who is {role}" for role in ready.roles if role not in taken]
    if any(person.with_sales for person in rollup.people):
        missing.append("one of them is with sales")
    elif not any(person.can_be_handed_off for person in rollup.people):
        missing.append("nobody can be handed off")
    return AccountAssessment(rollup, tuple(missing))


def chosen(rollup: Rollup) -> Person | None:
    """Return whom the account is handed off with: the most engaged who may be."""
    return next((person for person in rollup.people if person.can_be_handed_off), None)


def take_stock(
    state: AccountState, rollup: Rollup, terms: Terms, accounts: AccountTerms, *, handed: Arming | None, at: int
) -> bool:
    """Bring the account to the instant, and tell whether it is to be handed off.

    `handed` is the arming of the contact that its latest handoff began with, None when that contact is gone.
    """
    state.as_of = at
    state.arming = heed(state.arming.at(at), handed, at)
    foresee_fall(state, rollup, terms, accounts, at)
    state.arming = state.arming.at(at)
    return state.arming.takes_threshold and assess_account(rollup, accounts).ready


def foresee_fall(state: AccountState, rollup: Rollup, terms: Terms, accounts: AccountTerms, at: int) -> None:
    """Note when an account that was handed off will be armed again, if nothing more happens."""
    if state.arming.falls:
        level = accounts.rearm_below
        falls = falls_below(rollup.people, terms, accounts, level=level, at=at)
        state.arming = state.arming.falling(falls, level=level)


def engaged(account_id: UUID, rollup: Rollup) -> EngagedAccount:
    """Return what a handoff tells about the account."""
    return EngagedAccount(
        id=account_id,
        engagement=rollup.engagement,
        people=tuple(
            EngagedPerson(
                contact_id=person.contact_id,
                engagement=person.engagement,
                adds=person.adds,
                roles=person.roles,
                last_at=None if person.last_at is None else from_micros(person.last_at),
            )
            for person in rollup.people[:MOST_PEOPLE]
        ),
    )


def heed(arming: Arming, handed: Arming | None, at: int) -> Arming:
    """Return the account's arming after what became of the contact that it was handed off with; None: it is gone.

    What sales says about the contact holds for the account: given back, it cools down as long; won, lost or withdrawn,
    it has to fall first.
    """
    if arming.handoff_id is None:
        return arming
    if handed is None:
        return arming.closed()
    if handed.handoff_id != arming.handoff_id:
        return arming
    now = handed.at(at)
    kind, until = now.kind, now.rearms_at
    if kind is ArmingKind.ARMED and now.before is not None:
        kind, until = now.before, now.since  # what it was, if that is over by now
    if kind is ArmingKind.COOLING and until is not None and arming.kind is not ArmingKind.COOLING:
        return arming.recycled(until=until).at(at)
    if kind is ArmingKind.CLOSED and arming.kind is ArmingKind.HANDED:
        return arming.closed()
    return arming


def falls_below(people: Iterable[Person], terms: Terms, accounts: AccountTerms, *, level: float, at: int) -> int | None:
    """Return when the account's engagement will have fallen below the level if nobody does anything; None: never.

    There is no closed form: whoever falls below what counts takes all of its points along.
    """
    states = [person.state for person in people]
    if _estimate(states, terms, accounts, at) < level:
        return at
    if level <= 0:
        return None
    step = max(1, terms.half_life // _FINENESS)
    low, high = 0, _FINENESS * _HORIZON  # steps: not yet below, surely below
    while high - low > 1:
        middle = (low + high) // 2
        if _estimate(states, terms, accounts, at + middle * step) < level:
            high = middle
        else:
            low = middle
    return at + high * step


def _estimate(states: Iterable[ContactState], terms: Terms, accounts: AccountTerms, at: int) -> float:
    scores = (min(LARGEST, within_caps(group_sums(state, terms, at), terms)) for state in states)
    return sum(min(score, accounts.cap) for score in scores if score >= accounts.least)
