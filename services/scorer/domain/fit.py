"""Fit: who the contact is, 0 to 100, as parts that add up to it."""

from dataclasses import dataclass
from math import fsum

from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms, on_grid
from shared.events.explanation import Part, Score

LARGEST = 100.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How well the contact matches the profile, and the rules that rule it out."""

    score: Score
    disqualified_by: tuple[str, ...]


def fit(state: ContactState, terms: Terms) -> Fit:
    """Return the fit, explained: the values of the parts add up to the score exactly."""
    account = {**state.account(), "domain": state.account_domain() or None}
    met = terms.fit_matcher.match(state.profile(), account, state.aliases)
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
