"""The webhook that tells marketing to keep helping a contact."""

import msgspec

from services.router.domain.endpoint import EndpointEvent
from services.router.domain.webhook import Message
from shared.events.nurture import ContactNurture
from shared.ids import derived_id

CONTACT_NURTURE = str(EndpointEvent.CONTACT_NURTURE)


def render_nurture(nurture: ContactNurture) -> Message:
    """Render the message, whose id is the same for every endpoint and repeat."""
    email = next((alias.value for alias in nurture.aliases if alias.kind == "email"), "")
    envelope = {
        "type": CONTACT_NURTURE,
        "timestamp": nurture.at,
        "data": {
            "contact": {
                "id": nurture.contact_id,
                "email": email,
                "aliases": nurture.aliases,
                "account": {"domain": nurture.account_domain},
            },
            "why": nurture.kind,
            "stage": nurture.stage,
            "before": nurture.before,
            "handoff": nurture.handoff_id,
            "reason": nurture.reason,
            "engagement": nurture.engagement,
            "fit": nurture.fit,
            "touches": nurture.touches,
            "agreement": nurture.agreement,
        },
    }
    return Message(id=f"msg_{derived_id('webhook', nurture.id).hex}", body=msgspec.json.encode(envelope))
