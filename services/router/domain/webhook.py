"""The message that a receiver gets: a Standard Webhooks envelope, rendered once and signed anew for each attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from services.router.domain.answer_link import NO_LINKS, AnswerLinks
from services.router.domain.brief import Brief
from services.router.domain.contact import contact_json
from services.router.domain.handoff import State
from services.router.domain.team import Rep
from shared.events.handoff import HandoffReady
from shared.ids import derived_id

LEAD_READY = "lead.sales_ready"
REASSIGNED = "handoff.reassigned"
ESCALATED = "handoff.escalated"
EXPIRED = "handoff.expired"
ENDPOINT_TEST = "endpoint.test"

# The state of the handoff that each message tells of.
STATES: Mapping[str, State] = MappingProxyType(
    {LEAD_READY: State.ASSIGNED, REASSIGNED: State.REASSIGNED, ESCALATED: State.ESCALATED}
)
USER_AGENT = "Tandem-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, to the byte, on every attempt. `id` is the `webhook-id`."""

    id: str
    body: bytes


def message_id(handoff_id: UUID, assignment: int) -> str:
    """Derive the `webhook-id`: one for each time that the handoff is given to somebody, counted from 1."""
    return f"msg_{derived_id('webhook', handoff_id, assignment).hex}"


def render_given(
    ready: HandoffReady,
    *,
    kind: str,
    rep: Rep,
    pool: str,
    brief: Brief,
    assignment: int,
    assigned_at: datetime,
    previous: str | None,
    public_url: str,
    links: AnswerLinks = NO_LINKS,
) -> Message:
    """Render the message that gives a rep a handoff. `previous` had it before."""
    given = links.of(ready.id, assignment=assignment, at=assigned_at)
    envelope = {
        "type": kind,
        "timestamp": assigned_at,
        "data": {
            "handoff": {
                "id": ready.id,
                "state": STATES[kind],
                "reason": ready.reason,
                "agreement": ready.agreement,
                "decided_at": ready.decided_at,
                "assigned_at": assigned_at,
                "assignment": assignment,
            },
            "rep": {"name": rep.name, "email": rep.email},
            "previous_rep": {"name": previous} if previous else None,
            "pool": pool,
            "contact": contact_json(ready.contact),
            "brief": replace(brief, text=_with_links(brief.text, given)),
            "links": given,
            "answer": answer_urls(ready, public_url=public_url),
        },
    }
    return Message(id=message_id(ready.id, assignment), body=msgspec.json.encode(envelope))


def _with_links(text: str, links: Mapping[str, str]) -> str:
    lines = [f"{name.capitalize()}: {url}" for name, url in links.items()]
    return "\n".join([text, "", *lines]) if lines else text


def render_expired(
    ready: HandoffReady, *, step: int, at: datetime, previous: str, rep: str | None, state: State
) -> Message:
    """Render the message that tells who had a handoff that it is theirs no more. `rep` has it now; None: nobody."""
    envelope = {
        "type": EXPIRED,
        "timestamp": at,
        "data": {
            "handoff": {"id": ready.id, "state": state},
            "previous_rep": {"name": previous},
            "rep": {"name": rep} if rep else None,
        },
    }
    return Message(id=f"msg_{derived_id('webhook', EXPIRED, ready.id, step).hex}", body=msgspec.json.encode(envelope))


def answer_urls(ready: HandoffReady, *, public_url: str) -> dict[str, Any]:
    """Return where a rep's key answers, and with which reasons."""
    base = f"{public_url.rstrip('/')}/v1/handoffs/{ready.id}"
    return {"accept": f"{base}/accept", "reject": f"{base}/reject", "reject_reasons": ready.reject_reasons}


def attempt_headers(message: Message, *, signature: str, at: datetime, traceparent: str | None) -> dict[str, str]:
    """Return all headers of one attempt but those of the connection."""
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        # A compressed answer could be small to read and huge to keep.
        "accept-encoding": "identity",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
        **({"traceparent": traceparent} if traceparent else {}),
    }
