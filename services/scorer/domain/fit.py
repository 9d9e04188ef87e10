"""Fit: who the contact is, 0 to 100, as parts that add up to it."""

from dataclasses import dataclass
from math import fsum
from typing import Any

from services.scorer.domain.gaps import Unknown, traits_asked
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms, on_grid
from shared.agreement.patterns import lookup
from shared.events.explanation import Part, Score

LARGEST = 100.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the contact matches the profile, and the rules that rule it out."""

    score: Score
    disqualified_by: tuple[str, ...]


def fit(state: ContactState, terms: Terms) -> Fit:
    """Return the fit, explained: the values of the parts add up to the score exactly."""
    met = terms.fit_matcher.match(state.profile(), _account(state), state.aliases)
    parts = [Part(value=on_grid(rule.points), rule=rule.id, points=rule.points) for rule in met if not rule.disqualify]
    total = fsum(part.value for part in parts)
    if total < 0:
        parts.append(Part(value=-total, adjustment="floor"))
    elif total > LARGEST:
        parts.append(Part(value=LARGEST - total, adjustment="ceiling"))
    disqualified_by = tuple(rule.id for rule in met if rule.disqualify)
    for rule_id in disqualified_by:
        # The first one takes everything; the others are shown, and take nothing more.
        parts.append(Part(value=-fsum(part.value for part in parts), rule=rule_id, adjustment="disqualified"))
    return Fit(Score(fsum(part.value for part in parts), tuple(parts)), disqualified_by)


def unmet_traits(state: ContactState, terms: Terms) -> list[str]:
    """Return the rules that would add to fit and that the traits do not meet."""
    met = terms.fit_matcher.match(state.profile(), _account(state), state.aliases)
    return [rule.id for rule in terms.agreement.fit if rule.points > 0 and rule not in met]


def unknown_traits(state: ContactState, terms: Terms) -> tuple[Unknown, ...]:
    """Return what fit rules that earn points ask for, are not met, and nobody told of the contact and its account."""
    profile, account = state.profile(), _account(state)
    met = terms.fit_matcher.match(profile, account, state.aliases)
    return tuple(
        Unknown(field=field, rule=rule.id, points=rule.points)
        for rule in terms.agreement.fit
        if rule.points > 0 and rule not in met
        for field in dict.fromkeys(traits_asked(rule.when))
        if lookup(account if field.startswith("account.") else profile, field.partition(".")[2]) is None
    )


def _account(state: ContactState) -> dict[str, Any]:
    return {**state.account(), "domain": state.account_domain() or None}
