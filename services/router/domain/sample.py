"""A lead that is none, to try an endpoint with: whoever meets it in a CRM sees that it may be deleted."""

from datetime import datetime
from uuid import UUID, uuid5

import msgspec

from services.router.domain.brief import write_brief
from services.router.domain.team import Rep
from services.router.domain.webhook import LEAD_READY, Message, render_given
from shared.events.explanation import Score
from shared.events.handoff import ContactSnapshot, HandoffReady, Respond, Words
from shared.events.touch import Alias

SAMPLE_EMAIL = "tandem-test@example.com"
_NAMESPACE = UUID("b7c6a1c0-1c1e-5d57-9c55-0f5b9a0f9d11")


def sample_message(endpoint: str, *, message_id: str, at: datetime, public_url: str) -> Message:
    """Return the message of a lead that nobody earned. Trying an endpoint again writes the same record."""
    ready = HandoffReady(
        id=uuid5(_NAMESPACE, f"handoff {endpoint}"),
        contact=ContactSnapshot(
            id=uuid5(_NAMESPACE, f"contact {endpoint}"),
            aliases=(Alias(kind="email", value=SAMPLE_EMAIL),),
            traits={"name": "Tandem Test", "email": SAMPLE_EMAIL, "title": "To be deleted"},
            account_traits={"name": "Tandem Test"},
        ),
        agreement=0,
        decided_at=at,
        reason="hand_raise",
        touch_id=uuid5(_NAMESPACE, "touch"),
        engagement=Score(0.0),
        fit=Score(0.0),
        stage=None,
        touches=0,
        recent=(),
        words=(Words(at=at, field="message", text=f"This tries the endpoint {endpoint}; it is no lead."),),
        first_campaign=None,
        last_campaign=None,
        respond=Respond(within_seconds=0, reassign_after_seconds=0, escalate_after_seconds=0, hours="always"),
        reject_reasons=(),
    )
    rendered = render_given(
        ready,
        kind=LEAD_READY,
        rep=Rep(name="Tandem Test", email=SAMPLE_EMAIL, capacity=1),
        pool="test",
        brief=write_brief(ready),
        assignment=1,
        assigned_at=at,
        previous=None,
        public_url=public_url,
    )
    envelope = msgspec.json.decode(rendered.body)
    return Message(id=message_id, body=msgspec.json.encode({**envelope, "test": True}))
