"""Customer.io's reporting webhooks: one message event a request, signed over the time and the raw body.

Customer.io tries for seven days and holds later events back meanwhile; whether it stamps a retry anew is not
documented, so the window is as long. A replay within it repeats an event whose id is known.
"""

from collections.abc import Sequence
from datetime import timedelta

from services.ingest.domain.event import Event
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import Fields, Item, Reading, below, digest, first, names_of, skip, title
from services.ingest.intake.hooks.signature import HookRequest, check_age, check_signature, hmac_hex

WINDOW = timedelta(days=7, hours=1)

_MAIL = {
    "sent": mail.SENT,
    "deferred": mail.DEFERRED,
    "dropped": mail.DROPPED,
    "delivered": mail.DELIVERED,
    "opened": mail.OPENED,
    "clicked": mail.CLICKED,
    "bounced": mail.BOUNCED,
    "spammed": mail.SPAM,
    "unsubscribed": mail.UNSUBSCRIBED,
}
_CUSTOMER = {"subscribed": mail.RESUBSCRIBED, "unsubscribed": mail.UNSUBSCRIBED}
_NOT_TO_PEOPLE = frozenset({"slack", "webhook"})


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature with the webhook's signing key. Raises NotVerified."""
    given = request.header("X-CIO-Signature")
    stamp = request.header("X-CIO-Timestamp")
    check_age(stamp, now=request.received_at, window=WINDOW)
    check_signature(given, (hmac_hex(secret, b"v0:", stamp.encode(), b":", request.body) for secret in secrets))


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the event is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        about, metric = first(item.get("object_type")), first(item.get("metric"))
        if about in _NOT_TO_PEOPLE:
            raise skip(f"It tells of a message to {about}, not to a contact.")
        data = below(item, "data")
        ids = below(data, "identifiers")
        known = first(ids.get("cio_id"))
        address = first(ids.get("email"), data.get("email_address"), data.get("recipient") if about == "email" else "")
        return reading.track(
            _name(about, metric),
            message_id=first(item.get("event_id")) or digest(raw),
            at=item.get("timestamp"),
            names=names_of(
                email=address,
                user=first(ids.get("id"), data.get("customer_id")),
                anonymous=f"customerio:{known}" if known else "",
            ),
            properties={
                "email_id": data.get("delivery_id"),
                "email_subject": data.get("subject"),
                "link_url": data.get("href"),
                "link_id": data.get("link_id"),
                "campaign_id": first(data.get("campaign_id"), data.get("broadcast_id"), data.get("newsletter_id")),
                "action_id": data.get("action_id"),
                "content_id": data.get("content_id"),
                "transactional_message_id": data.get("transactional_message_id"),
                "reason": data.get("failure_message"),
                "prefetched": True if data.get("prefetched") is True or data.get("machine") is True else None,
            },
            user_agent=data.get("user_agent"),
        )

    return reading.each([body], one)


def _name(about: str, metric: str) -> str:
    if about == "email" and metric in _MAIL:
        return _MAIL[metric]
    if about == "customer" and metric in _CUSTOMER:
        return _CUSTOMER[metric]
    return f"{title(about)} {title(metric)}".strip() or "Customer.io Event"
