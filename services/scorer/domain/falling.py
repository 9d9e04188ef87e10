"""Falling: how far engagement has to fall before a handoff that is open or closed arms its contact again, and when."""

from services.scorer.domain.cooling import falls_below
from services.scorer.domain.engagement import group_sums, within_caps
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms


def arms_below(engagement: float, terms: Terms) -> float:
    """Return the level below which engagement has to fall before who is handed off now is armed again.

    Who asks for sales may do so below the re-arm level; falling is then falling by the same share.
    """
    return min(1.0, engagement / terms.threshold) * terms.rearm_below


def foresee_fall(state: ContactState, terms: Terms, at: int) -> None:
    """Note when engagement will fall far enough to arm the contact again, if nothing more happens."""
    arming = state.arming
    if arming.falls:
        sums = group_sums(state, terms, at)
        level = terms.rearm_below if within_caps(sums, terms) >= terms.rearm_below else arming.level
        after = falls_below(sums, terms.caps, level=level, half_life=terms.half_life)
        state.arming = arming.falling(None if after is None else at + after, level=level)
