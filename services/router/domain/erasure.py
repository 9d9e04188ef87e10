"""What remains of a handoff whose contact was erased, and what its receivers are told."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.router.domain.webhook import Message
from shared.events.contact import ContactErased
from shared.events.explanation import Score
from shared.events.handoff import ContactSnapshot, HandoffReady
from shared.ids import derived_id

CONTACT_ERASED = "contact.erased"


def stripped(ready: HandoffReady) -> HandoffReady:
    """Return the handoff with its ids, times and scores, and nothing that tells who it was about or what they did."""
    return msgspec.structs.replace(
        ready,
        contact=ContactSnapshot(id=ready.contact.id),
        engagement=Score(ready.engagement.score),
        fit=Score(ready.fit.score),
        stage=None,
        recent=(),
        words=(),
        first_campaign=None,
        last_campaign=None,
        promises=(),
        read=(),
        unread=(),
        opted_in_at=None,
        account=None,
    )


def is_stripped(ready: HandoffReady) -> bool:
    """Tell whether this is what remains of a handoff."""
    return ready.contact == ContactSnapshot(id=ready.contact.id)


def render_contact_erased(
    erased: ContactErased, contact_id: UUID, *, endpoint: str, handoffs: Sequence[UUID]
) -> Message:
    """Render the message that tells an endpoint to forget the contact of handoffs that it had."""
    envelope = {
        "type": CONTACT_ERASED,
        "timestamp": erased.at,
        "data": {
            "contact": {"id": contact_id, "ids": erased.contact_ids},
            "handoffs": handoffs,
            "erased_at": erased.at,
        },
    }
    return Message(
        id=f"msg_{derived_id('webhook', erased.id, endpoint).hex}",
        body=msgspec.json.encode(envelope),
    )
