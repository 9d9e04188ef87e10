"""Roll-up: what the people of one account did together, as parts that add up to it.

    engagement of the account = Σ over people who count min(cap, engagement of the person)

Somebody counts who earned `least` points, may be contacted and is not disqualified. With `least: 5, cap: 40`, people at
61, 12 and 3 make 61 − 21 + 12 = 52.

What an account is worth depends on its people alone, so it does not matter in which order their touches came, nor in
which transactions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from uuid import UUID

import msgspec

from services.scorer.domain.arming import Arming, ArmingKind
from services.scorer.domain.engagement import engagement, group_sums
from services.scorer.domain.fit import fit
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import AccountTerms, Terms, grid_for, on_grid

_ESTIMATE_ERROR = 1e-3  # far more than sums that are not on the grid can be off


class AccountPart(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One summand of an account's engagement: what a person earned, or what the cap of one person takes away."""

    value: float
    contact: UUID
    adjustment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who counts for the account."""

    contact_id: UUID
    state: ContactState
    engagement: float
    adds: float  # what is left of it under the cap
    roles: tuple[str, ...]
    last_at: int | None  # when it last did something that is worth points
    recent: bool  # within the time that the threshold asks about
    arming: Arming

    @property
    def with_sales(self) -> bool:
        """Whether sales talks with the person, or did and closed the case."""
        return self.arming.kind in {ArmingKind.HANDED, ArmingKind.CLOSED}

    @property
    def can_be_handed_off(self) -> bool:
        """Whether the account may be handed off with this person to begin with."""
        return self.arming.takes_threshold


@dataclass(frozen=True, slots=True)
class Rollup:
    """An account at one instant: the values of the parts add up to the engagement exactly."""

    engagement: float
    parts: tuple[AccountPart, ...]
    people: tuple[Person, ...]  # most engaged first
    left_out: Mapping[UUID, str]  # who belongs to the account and counts nothing, and why


def roll_up(contacts: Iterable[tuple[UUID, ContactState]], terms: Terms, accounts: AccountTerms, at: int) -> Rollup:
    """Add up the people."""
    left_out: dict[UUID, str] = {}
    scored = []
    for contact_id, state in contacts:
        if state.is_opted_out:
            left_out[contact_id] = "opted out"
        elif disqualified := fit(state, terms).disqualified_by:
            left_out[contact_id] = f"disqualified by {disqualified[0]}"
        elif (score := engagement(state, terms, at).score) < accounts.least:
            left_out[contact_id] = f"engagement below {accounts.least:g}"
        else:
            scored.append((contact_id, state, score))
    scored.sort(key=lambda one: (-one[2], one[0].int))
    bits = grid_for(2 * sum(score for _, _, score in scored) + 1)
    parts: list[AccountPart] = []
    people = []
    for contact_id, state, score in scored:
        earned = on_grid(score, bits)
        adds = min(earned, on_grid(accounts.cap, bits))
        parts.append(AccountPart(value=earned, contact=contact_id))
        if adds < earned:
            parts.append(AccountPart(value=adds - earned, contact=contact_id, adjustment="cap"))
        last_at = _last_worth_points(state, terms)
        people.append(
            Person(
                contact_id=contact_id,
                state=state,
                engagement=score,
                adds=adds,
                roles=_roles(state, accounts),
                last_at=last_at,
                recent=last_at is not None and (accounts.within is None or last_at + accounts.within >= at),
                arming=state.arming.at(at),
            )
        )
    return Rollup(fsum(part.value for part in parts), tuple(parts), tuple(people), left_out)


def may_count(state: ContactState, terms: Terms, accounts: AccountTerms, at: int) -> bool:
    """Tell cheaply whether the contact may count for its account from the instant on, if it does nothing more.

    Engagement may rise without touches, when points below zero fade. What its groups add up to without these does not.
    """
    if state.domain is None or state.merged_into is not None or state.is_opted_out or not state.domain.value:
        return False
    sums = group_sums(state, terms, at)
    return (
        sum(min(amount, cap) for amount, cap in zip(sums, terms.caps, strict=True) if amount > 0)
        >= accounts.least - _ESTIMATE_ERROR
    )


def _roles(state: ContactState, accounts: AccountTerms) -> tuple[str, ...]:
    account = {**state.account(), "domain": state.account_domain() or None}
    return tuple(role.id for role in accounts.roles.match(state.profile(), account, state.aliases))


def _last_worth_points(state: ContactState, terms: Terms) -> int | None:
    return max(
        (kept.last for rule_id, kept in state.rules.items() if kept.count and terms.prices[rule_id][0] > 0),
        default=None,
    )
