"""Postmark's webhooks: one record a request, of six types. Postmark signs nothing."""

from services.ingest.domain.event import Event
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import Fields, Item, Reading, below, digest, first, names_of, skip, title

_EVENTS = {
    "Delivery": mail.DELIVERED,
    "Bounce": mail.BOUNCED,
    "SpamComplaint": mail.SPAM,
    "Open": mail.OPENED,
    "Click": mail.CLICKED,
}
# Bounces that are none: the mail is still on its way, or somebody answered.
_OTHER_BOUNCES = {
    "Transient": mail.DEFERRED,
    "DnsError": mail.DEFERRED,
    "AutoResponder": mail.ANSWERED_AUTOMATICALLY,
}
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
_SUPPRESSIONS = {"HardBounce": mail.BOUNCED, "SpamComplaint": mail.SPAM}


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the record is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind = first(item.get("RecordType"))
        if kind == "Inbound" or "FromFull" in item:
            raise skip("It is a mail that somebody sent; set Tandem's address for delivery, open and click only.")
        at = next((item[time] for time in _TIMES if item.get(time)), None)
        metadata = below(item, "Metadata")
        return reading.track(
            _name(kind, item),
            message_id=_message_id(kind, item, at) or digest(raw),
            at=at,
            names=names_of(email=first(item.get("Recipient"), item.get("Email")), beside=metadata),
            properties={
                **metadata,
                "email_id": item.get("MessageID"),
                "email_subject": item.get("Subject"),
                "link_url": item.get("OriginalLink"),
                "tag": item.get("Tag"),
                "message_stream": item.get("MessageStream"),
                "bounce_type": item.get("Type") if kind == "Bounce" else None,
                "reason": first(item.get("SuppressionReason"), item.get("Details"), item.get("Description")),
                "first_open": item.get("FirstOpen"),
            },
            user_agent=item.get("UserAgent"),
        )

    return reading.each([body], one)


def _name(kind: str, item: Fields) -> str:
    if kind == "Bounce":
        return _OTHER_BOUNCES.get(first(item.get("Type")), mail.BOUNCED)
    if kind != "SubscriptionChange":
        return _EVENTS.get(kind) or f"Email {title(kind) or 'Event'}"
    if item.get("SuppressSending") is not False:
        return _SUPPRESSIONS.get(first(item.get("SuppressionReason")), mail.UNSUBSCRIBED)
    # Where the sender lifts a suppression, nobody has asked for mail.
    return mail.RESUBSCRIBED if item.get("Origin") == "Recipient" else mail.REACTIVATED


def _message_id(kind: str, item: Fields, at: object) -> str:
    message = first(item.get("MessageID"))
    if not message or not isinstance(at, str):
        return ""
    return "/".join((message, kind, at, first(item.get("ID")), first(item.get("OriginalLink"))))
