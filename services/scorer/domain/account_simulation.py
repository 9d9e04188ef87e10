"""Simulation of an account: what agreements would have decided about its people, together and one by one.

The account is looked at after each touch of one of its people, as of the receipt of that touch. Live it is looked at
soon after a touch, once for all that came meanwhile; else it is decided as live, by `roll_up` and `assess_account`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import exp2
from typing import NamedTuple
from uuid import UUID

from services.scorer.domain.account import AccountState, assess_account, chosen, engaged, heed
from services.scorer.domain.arming import ArmingKind
from services.scorer.domain.deciding import Handoff, hand_off_for
from services.scorer.domain.engagement import LARGEST, group_sums, within_caps
from services.scorer.domain.fit import fit
from services.scorer.domain.instants import to_micros
from services.scorer.domain.rollup import Rollup, roll_up
from services.scorer.domain.simulation import Replay, kept_from, received, sent_by
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import AccountTerms, Terms
from services.scorer.domain.verdict import Judged
from shared.events.touch import Touch

_ESTIMATE_ERROR = 1e-3  # far more than sums that are not on the grid can be off
_WITH_SALES = frozenset({ArmingKind.HANDED, ArmingKind.CLOSED})


def has_enough_people(count: int, terms: Iterable[Terms]) -> bool:
    """Tell whether an account of so many people can ever be ready under one of the agreements."""
    return any(each.accounts is not None and count >= each.accounts.ready.contacts for each in terms)


class AccountReplay:
    """The people of one account under some agreements side by side, of which at least one says when accounts are ready.

    The people are those whose account it is in the end; while one of them told of another employer, it is not theirs.
    """

    def __init__(self, account_id: UUID, people: Mapping[UUID, Replay], terms: Sequence[Terms]) -> None:
        self._people = people
        self._answered = [replay for replay in people.values() if replay.made]
        self._views = [
            _View(account_id, {contact_id: replay.states[index] for contact_id, replay in people.items()}, each)
            for index, each in enumerate(terms)
        ]

    def run(self, histories: Mapping[UUID, Iterable[Judged]]) -> Iterator[None]:
        """Take all touches, given by contact in any order; stop for breath after each."""
        came = [(received(judged), contact_id, judged) for contact_id, each in histories.items() for judged in each]
        for _, contact_id, judged in sorted(came, key=lambda one: one[0]):
            received_at = judged.touch.received_at
            at = to_micros(received_at)
            for replay in self._answered:
                replay.hear(received_at)
            for view in self._views:
                view.pass_time(at)
            self._people[contact_id].take(judged)
            for view in self._views:
                view.touched(contact_id, judged.touch, at)
            self._decide(at, received_at)
            yield

    def _decide(self, at: int, received_at: datetime) -> None:
        decided = [(view, view.look(at)) for view in self._views]
        tipped = [(view, handoff) for view, handoff in decided if handoff is not None]
        others = [view for view, handoff in decided if handoff is None] if tipped else []
        for view, handoff in tipped:
            missing = (line for other in others for line in other.missing(at))
            sent = sent_by(handoff, at=received_at, missing=missing)
            view.handed_at = received_at
            self._people[handoff.contact.id].sent[self._views.index(view)].append(sent)


class _Standing(NamedTuple):
    """What somebody adds to the account from an instant on without doing anything more, between two bounds.

    The lower one holds for the instant. Later it is worth what decay leaves of it at least, and nothing as soon as that
    is below what counts: caps let go and points below zero fade, both in its favour.
    """

    at: int
    least: float
    most: float


class _View:
    """The account under one agreement. Instants are in microseconds."""

    def __init__(self, account_id: UUID, states: Mapping[UUID, ContactState], terms: Terms) -> None:
        self._account_id = account_id
        self._states = states
        self._terms = terms
        self._account = AccountState()
        self._standings: dict[UUID, _Standing] = {}
        self._disqualified: dict[UUID, bool] = {}
        self.handed_at: datetime | None = None

    def pass_time(self, at: int) -> None:
        """Bring the account to the instant: sales may have answered, engagement may have fallen."""
        account, accounts = self._account, self._terms.accounts
        if accounts is None or account.contact_id is None:
            return
        account.arming = heed(account.arming.at(at), self._states[account.contact_id].arming, at)
        if account.arming.falls:
            level = accounts.rearm_below
            fell = self._may_have_fallen(accounts, at)
            if fell:
                fell = roll_up(self._counted(), self._terms, accounts, at).engagement < level
                self._stand(accounts, at)
            account.arming = account.arming.falling(at if fell else None, level=level).at(at)

    def touched(self, contact_id: UUID, touch: Touch, at: int) -> None:
        """Take note of what a touch made of the contact."""
        accounts = self._terms.accounts
        if accounts is None:
            return
        if touch.traits or touch.aliases or touch.account_domain or touch.account_traits:
            self._disqualified.pop(contact_id, None)
        self._standings[contact_id] = self._standing_of(contact_id, accounts, at)

    def look(self, at: int) -> Handoff | None:
        """Hand the account off if it is ready, now that somebody took a touch."""
        accounts = self._terms.accounts
        if accounts is None or not (self._account.arming.takes_threshold and self._may_be_ready(accounts, at)):
            return None
        rollup = roll_up(self._counted(), self._terms, accounts, at)
        person = chosen(rollup)
        if person is None or not assess_account(rollup, accounts).ready:
            self._stand(accounts, at)
            return None
        return self._hand_off(rollup, person.contact_id, accounts, at)

    def missing(self, at: int) -> Iterable[str]:
        """Tell what keeps the account from a handoff."""
        accounts = self._terms.accounts
        if accounts is None:
            yield "no threshold for accounts"
            return
        yield from assess_account(roll_up(self._counted(), self._terms, accounts, at), accounts).missing
        yield from kept_from(self._account.arming.at(at), since=self.handed_at)

    def _hand_off(self, rollup: Rollup, contact_id: UUID, accounts: AccountTerms, at: int) -> Handoff:
        account = self._account
        handoff = hand_off_for(
            engaged(self._account_id, rollup),
            contact_id,
            self._states[contact_id],
            self._terms,
            at=at,
            cause=f"account {self._account_id} {account.handoffs + 1} {at}",
        )
        account.arming = account.arming.handed_off(handoff.id, "account", level=accounts.rearm_below)
        account.contact_id = contact_id
        account.handoffs += 1
        return handoff

    def _may_be_ready(self, accounts: AccountTerms, at: int) -> bool:
        """Tell cheaply that nobody need add up the people: False only when something is missing for sure."""
        standings = self._standings
        return (
            len(standings) >= accounts.ready.contacts
            and sum([each.most for each in standings.values()]) >= accounts.threshold - _ESTIMATE_ERROR
            and not any(
                self._left(each, at) >= accounts.least + _ESTIMATE_ERROR
                for contact_id, each in standings.items()
                if self._states[contact_id].arming.at(at).kind in _WITH_SALES
            )
        )

    def _may_have_fallen(self, accounts: AccountTerms, at: int) -> bool:
        """Tell the same of an account that was handed off: False only when it is not below its level for sure."""
        worth = 0.0
        for each in self._standings.values():
            left = self._left(each, at)
            if left >= accounts.least + _ESTIMATE_ERROR:
                worth += min(left, accounts.cap) - _ESTIMATE_ERROR
        return worth < accounts.rearm_below + _ESTIMATE_ERROR

    def _left(self, standing: _Standing, at: int) -> float:
        return standing.least * exp2((standing.at - at) / self._terms.half_life)

    def _stand(self, accounts: AccountTerms, at: int) -> None:
        self._standings = {each: self._standing_of(each, accounts, at) for each in self._standings}

    def _standing_of(self, contact_id: UUID, accounts: AccountTerms, at: int) -> _Standing:
        state = self._states[contact_id]
        if state.is_opted_out or not self._is_counted(state):
            return _Standing(at, 0.0, 0.0)
        disqualified = self._disqualified.get(contact_id)
        if disqualified is None:
            disqualified = self._disqualified[contact_id] = bool(fit(state, self._terms).disqualified_by)
        if disqualified:
            return _Standing(at, 0.0, 0.0)
        sums = group_sums(state, self._terms, at)
        least = min(within_caps(sums, self._terms), LARGEST)
        # Without points below zero nothing fades that counts against it.
        fades = min(sums, default=0.0) < 0
        most = within_caps([max(amount, 0.0) for amount in sums], self._terms) if fades else least
        counts = most >= accounts.least - _ESTIMATE_ERROR
        return _Standing(at, max(least, 0.0), min(most, accounts.cap) if counts else 0.0)

    def _counted(self) -> list[tuple[UUID, ContactState]]:
        return [(contact_id, state) for contact_id, state in self._states.items() if self._is_counted(state)]

    def _is_counted(self, state: ContactState) -> bool:
        return state.account_id() == self._account_id
