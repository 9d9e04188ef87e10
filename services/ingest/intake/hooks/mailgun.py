"""Mailgun's webhooks: one event a request, which carries its own signature.

Mailgun signs a time and a token but not the body, so the window matters here. It cannot be short: Mailgun tries again
for eight hours, and whether it stamps a retry anew is not documented; a refusal would lose the event. The message id is
therefore that of the event and not the token, which a retry may renew.
"""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Refused
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import Fields, Item, Reading, below, digest, first, listed, names_of, title
from services.ingest.intake.hooks.signature import HookRequest, NotVerified, check_age, check_signature, hmac_hex
from services.ingest.intake.payload import decode

WINDOW = timedelta(hours=9)

_EVENTS = {
    "accepted": mail.SENT,
    "rejected": mail.DROPPED,
    "delivered": mail.DELIVERED,
    "opened": mail.OPENED,
    "clicked": mail.CLICKED,
    "unsubscribed": mail.UNSUBSCRIBED,
    "complained": mail.SPAM,
}


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Signed(msgspec.Struct):
    signature: _Signature


_signed = msgspec.json.Decoder(_Signed)


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature in the body with the HTTP webhook signing key. Raises NotVerified."""
    try:
        signed = decode(_signed, request.body).signature
    except Refused:
        raise NotVerified(
            "The body holds no signature; Mailgun's legacy webhooks, which are forms, have another."
        ) from None
    check_age(signed.timestamp, now=request.received_at, window=WINDOW)
    expected = (hmac_hex(secret, signed.timestamp.encode(), signed.token.encode()) for secret in secrets)
    check_signature(signed.signature, expected)


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the event is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        event = below(item, "event-data")
        kind = first(event.get("event"))
        client, headers = below(event, "client-info"), below(event, "message", "headers")
        variables = below(event, "user-variables")
        campaign = next((one for one in listed(event.get("campaigns")) if isinstance(one, dict)), {})
        event_id, stamp = first(event.get("id")), first(event.get("timestamp"))
        return reading.track(
            _name(kind, first(event.get("severity"))),
            message_id=f"{event_id}/{stamp}" if event_id and stamp else digest(raw),
            at=event.get("timestamp"),
            names=names_of(email=event.get("recipient"), beside=variables),
            properties={
                **variables,
                "email_id": headers.get("message-id"),
                "email_subject": headers.get("subject"),
                "link_url": event.get("url"),
                "campaign_id": campaign.get("id"),
                "campaign_name": campaign.get("name"),
                "tags": event.get("tags"),
                "reason": event.get("reason"),
                "description": first(
                    below(event, "delivery-status").get("message"), below(event, "delivery-status").get("description")
                ),
                # Empty for a person, else which machine it was, such as `apple` for its mail privacy.
                "prefetched": True if first(client.get("bot")) else None,
            },
            user_agent=client.get("user-agent"),
        )

    return reading.each([body], one)


def _name(kind: str, severity: str) -> str:
    if kind == "failed":
        return mail.DEFERRED if severity == "temporary" else mail.BOUNCED
    return _EVENTS.get(kind) or f"Email {title(kind) or 'Event'}"
