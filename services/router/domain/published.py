"""What the world is told about the steps of handoffs."""

from collections.abc import Mapping
from types import MappingProxyType

from services.router.domain.handoff import State, Taken
from shared.events.feedback import Feedback, FeedbackKind
from shared.ids import derived_id

# A withdrawal is the scorer's own doing; being in the queue is nobody's business but the router's.
_KINDS: Mapping[State, FeedbackKind | None] = MappingProxyType(
    {
        State.READY: None,
        State.ASSIGNED: FeedbackKind.ASSIGNED,
        State.ACCEPTED: FeedbackKind.ACCEPTED,
        State.QUALIFIED: FeedbackKind.QUALIFIED,
        State.WON: FeedbackKind.WON,
        State.LOST: FeedbackKind.LOST,
        State.REJECTED: FeedbackKind.REJECTED,
        State.RECYCLED: FeedbackKind.RECYCLED,
        State.EXPIRED: None,
        State.REASSIGNED: FeedbackKind.ASSIGNED,
        State.ESCALATED: None,
        State.WITHDRAWN: None,
    }
)


def feedback_on(taken: Taken) -> Feedback | None:
    """Return what is published about a step, under an identity that a repeat has too."""
    kind = _KINDS[taken.after]
    if kind is None:
        return None
    return Feedback(
        id=derived_id("feedback", taken.handoff_id, taken.number),
        handoff_id=taken.handoff_id,
        contact_id=taken.contact_id,
        kind=kind,
        at=taken.at,
        by=taken.by,
        reason=taken.reason or "",
        note=taken.note or "",
    )
