"""Twilio SendGrid's Event Webhook: a list of events, signed with ECDSA over the time and the raw body.

The signed time may be as old as SendGrid's last try, 24 hours: whether it stamps a retry anew is not documented. A
replay within that time repeats events whose ids are known, so it changes nothing.
"""

from base64 import b64decode
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from services.ingest.domain.event import Event
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import Fields, Item, Reading, digest, first, items_of, names_of, skip, title
from services.ingest.intake.hooks.signature import HookRequest, NotVerified, check_age

WINDOW = timedelta(hours=25)

_EVENTS = {
    "processed": mail.SENT,
    "deferred": mail.DEFERRED,
    "dropped": mail.DROPPED,
    "delivered": mail.DELIVERED,
    "open": mail.OPENED,
    "click": mail.CLICKED,
    "bounce": mail.BOUNCED,
    "spamreport": mail.SPAM,
    "unsubscribe": mail.UNSUBSCRIBED,
    "group_unsubscribe": mail.UNSUBSCRIBED,
    "group_resubscribe": mail.RESUBSCRIBED,
}

# Everything else beside these is an argument of the sender's own, and becomes a property.
_STRUCTURE = frozenset(
    """
    email timestamp event smtp-id useragent ip sg_event_id sg_message_id url url_offset sg_machine_open sg_content_type
    tls cert_err pool sg_template_id sg_template_name sg_user_id marketing_campaign_id marketing_campaign_name
    singlesend_id singlesend_name user_id userId anonymous_id anonymousId
    """.split()
)


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature; the secrets are public keys as the Mail Settings show them. Raises NotVerified."""
    given = request.header("X-Twilio-Email-Event-Webhook-Signature")
    stamp = request.header("X-Twilio-Email-Event-Webhook-Timestamp")
    check_age(stamp, now=request.received_at, window=WINDOW)
    try:
        signature = b64decode(given, validate=True)
    except ValueError:
        raise NotVerified("The signature is not base64.") from None
    for secret in secrets:
        key = public_key(secret)
        if key is None:
            continue
        try:
            key.verify(signature, stamp.encode() + request.body, ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return
    raise NotVerified("The signature does not match: the verification key is another one, or the body was changed.")


@lru_cache(maxsize=1_000)
def public_key(secret: str) -> EllipticCurvePublicKey | None:
    """Return the key that SendGrid shows as base64, or None when it is none."""
    try:
        key = load_der_public_key(b64decode(secret, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, EllipticCurvePublicKey) else None


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what each event is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind = first(item.get("event"))
        if kind == "account_status_change" or not kind:
            raise skip("It tells of the account at SendGrid, not of a contact.")
        return reading.track(
            _EVENTS.get(kind) or f"Email {title(kind)}",
            message_id=first(item.get("sg_event_id")) or digest(raw),
            at=item.get("timestamp"),
            names=names_of(email=item.get("email"), beside={key: item[key] for key in item if key != "email"}),
            properties={
                **{key: value for key, value in item.items() if key not in _STRUCTURE},
                "email_id": item.get("sg_message_id"),
                "link_url": item.get("url"),
                "campaign_id": item.get("marketing_campaign_id") or item.get("singlesend_id"),
                "campaign_name": item.get("marketing_campaign_name") or item.get("singlesend_name"),
                "template_name": item.get("sg_template_name"),
                "prefetched": True if item.get("sg_machine_open") is True else None,
            },
            user_agent=item.get("useragent"),
        )

    return reading.each(items_of(body), one)
