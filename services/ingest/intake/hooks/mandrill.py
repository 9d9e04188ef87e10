"""Mailchimp Transactional's webhooks (Mandrill): a form whose field `mandrill_events` is a list.

The signature covers the address as it was typed into Mandrill, and the fields. It holds no time.
"""

from collections.abc import Sequence

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.form_body import pairs_of
from services.ingest.intake.hooks.reading import (
    Fields,
    Item,
    Reading,
    below,
    digest,
    first,
    items_of,
    names_of,
    skip,
    title,
)
from services.ingest.intake.hooks.signature import HookRequest, NotVerified, check_signature, hmac_base64
from services.ingest.intake.payload import repaired

_EVENTS = {
    "send": mail.SENT,
    "deferral": mail.DEFERRED,
    "delivered": mail.DELIVERED,
    "hard_bounce": mail.BOUNCED,
    "soft_bounce": mail.BOUNCED,
    "reject": mail.DROPPED,
    "open": mail.OPENED,
    "click": mail.CLICKED,
    "spam": mail.SPAM,
    "unsub": mail.UNSUBSCRIBED,
}


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature with the webhook's key. Raises NotVerified."""
    given = request.header("X-Mandrill-Signature")
    try:
        fields = "".join(f"{name}{value}" for name, value in sorted(pairs_of(request.body)))
    except Refused as refused:
        raise NotVerified(refused.message) from None
    check_signature(
        given,
        (
            hmac_base64(secret, url.encode(), fields.encode(), algorithm="sha1")
            for secret in secrets
            for url in request.urls
        ),
    )


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what each event is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind = first(item.get("event"))
        if not kind or kind == "inbound" or kind.startswith(("whitelist", "blacklist")):
            raise skip("It tells of a list at Mandrill or of a mail that came in, not of what a contact did.")
        message = below(item, "msg")
        metadata = below(message, "metadata")
        url = first(item.get("url"))
        mail_id = first(message.get("_id"), item.get("_id"))
        return reading.track(
            _EVENTS.get(kind) or f"Email {title(kind)}",
            # `_id` is that of the mail, which many events share.
            message_id="/".join((mail_id, kind, first(item.get("ts")), url)) if mail_id else digest(raw),
            at=item.get("ts"),
            names=names_of(email=message.get("email"), beside=metadata),
            properties={
                **metadata,
                "email_id": mail_id,
                "email_subject": message.get("subject"),
                "link_url": url,
                "tags": message.get("tags"),
                "template_name": message.get("template"),
                "bounce_type": kind.removesuffix("_bounce") if kind.endswith("_bounce") else None,
                "reason": first(message.get("bounce_description"), message.get("diag")),
            },
            user_agent=item.get("user_agent"),
        )

    return reading.each(items_of(_events(body)), one)


def _events(body: bytes) -> bytes:
    if body.lstrip()[:1] in {b"[", b"{"}:
        return body  # an event that was set aside and comes back
    for name, value in pairs_of(body):
        if name == "mandrill_events":
            return repaired(value.encode())
    raise Refused(Reason.WRONG_TYPE, "The form has no field `mandrill_events`.")
