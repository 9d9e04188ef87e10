"""Stage: how far along the buyer's journey the contact is, by the evidence that still holds."""

from typing import NamedTuple

from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.agreement.model import JOURNEY, Stage


def stage(state: ContactState, terms: Terms, at: int) -> Stage | None:
    """Return the furthest stage with evidence no older than the agreement lets it be, None without any."""
    reached = -1
    evident = terms.evidence
    for rule_id, kept in state.rules.items():  # a contact meets few of the rules
        found = evident.get(rule_id)
        if found is not None and found[0] > reached and kept.last + found[1] >= at:
            reached = found[0]
    return JOURNEY[reached] if reached >= 0 else None


class Evidence(NamedTuple):
    """What speaks for a stage: the newest touch of a rule, and how long it does. Instants are in microseconds."""

    stage: Stage
    rule: str
    at: int
    until: int


def evidence(state: ContactState, terms: Terms, at: int) -> list[Evidence]:
    """Return all evidence that holds at the instant, of the furthest stage first, then what holds longest."""
    held = [
        Evidence(JOURNEY[position], rule_id, kept.last, kept.last + window)
        for rule_id, (position, window) in terms.evidence.items()
        if (kept := state.rules.get(rule_id)) is not None and kept.last + window >= at
    ]
    return sorted(held, key=lambda found: (-JOURNEY.index(found.stage), -found.until, found.rule))


def reaches(reached: Stage | None, required: Stage | None) -> bool:
    """Tell whether the stage is the required one or a later one."""
    if required is None:
        return True
    return reached is not None and JOURNEY.index(reached) >= JOURNEY.index(required)
