"""Stage: how far along the buyer's journey the contact is, by the evidence that still holds."""

from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from shared.agreement.model import JOURNEY, Stage


def stage(state: ContactState, terms: Terms, at: int) -> Stage | None:
    """Return the furthest stage with evidence no older than the agreement lets it be, None without any."""
    reached = -1
    for rule_id, (position, window) in terms.evidence.items():
        kept = state.rules.get(rule_id)
        if kept is not None and position > reached and kept.last + window >= at:
            reached = position
    return JOURNEY[reached] if reached >= 0 else None


def reaches(reached: Stage | None, required: Stage | None) -> bool:
    """Tell whether the stage is the required one or a later one."""
    if required is None:
        return True
    return reached is not None and JOURNEY.index(reached) >= JOURNEY.index(required)
