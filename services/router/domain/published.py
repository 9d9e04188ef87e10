"""What the world is told about the steps of handoffs."""

from collections.abc import Mapping
from types import MappingProxyType

from services.router.domain.handoff import Step, Taken
from shared.events.feedback import Feedback, FeedbackKind
from shared.ids import derived_id

# A withdrawal is the scorer's own doing; being in the queue is nobody's business but the router's.
_KINDS: Mapping[Step, FeedbackKind | None] = MappingProxyType(
    {
        Step.ASSIGN: FeedbackKind.ASSIGNED,
        Step.RETURN: None,
        Step.ACCEPT: FeedbackKind.ACCEPTED,
        Step.REJECT: FeedbackKind.REJECTED,
        Step.RECYCLE: FeedbackKind.RECYCLED,
        Step.QUALIFY: FeedbackKind.QUALIFIED,
        Step.WIN: FeedbackKind.WON,
        Step.LOSE: FeedbackKind.LOST,
        Step.OBJECTION: FeedbackKind.OBJECTION,
        Step.STORY: FeedbackKind.STORY,
        Step.EXPIRE: FeedbackKind.EXPIRED,
        Step.REASSIGN: FeedbackKind.REASSIGNED,
        Step.ESCALATE: FeedbackKind.ESCALATED,
        Step.WITHDRAW: None,
    }
)


def feedback_on(taken: Taken) -> Feedback | None:
    """Return what is published about a step, under an identity that a repeat has too."""
    kind = _KINDS[taken.step]
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
        number=taken.number,
        rep=taken.rep or "",
        pool=taken.pool or "",
        objection=taken.objection or "",
        amount=taken.amount,
        currency=taken.currency or "",
    )
