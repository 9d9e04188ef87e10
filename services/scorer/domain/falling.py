"""Falling: how far engagement has to fall before a handoff that is open or closed arms its contact again, and when."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from services.scorer.domain.cooling import falls_below
from services.scorer.domain.engagement import group_sums, within_caps
from services.scorer.domain.instants import Micros
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


def waits(instants: Sequence[Micros]) -> Sequence[Micros | None]:
    """Return until when looking ahead may wait at each of several touches of a contact, taken at these instants.

    None where it may not. After the first it is known what is foreseen under these terms; after the last it has to be
    known. An instant before the one that was looked ahead from may lie before an earlier fall.
    """
    if len(instants) < 3 or any(later < earlier for earlier, later in pairwise(instants)):
        return (None,) * len(instants)
    return (None, *instants[2:], None)


def lasts_until(state: ContactState, terms: Terms, met: Iterable[int], until: Micros) -> bool:
    """Tell whether engagement does not fall far enough before the instant, though a touch met these rules meanwhile.

    What was foreseen before the touch is a bound then: nothing that it added is negative, and the level stays.
    """
    fall = state.arming.rearms_at
    return (
        fall is not None and until < fall and state.arming.level == terms.rearm_below and terms.lowering.isdisjoint(met)
    )
