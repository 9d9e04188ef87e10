"""Mautic's webhooks: several events a request, in lists under their types, signed over the raw body without a time.

The number of a Mautic contact names it weakly, as an anonymous id of its own; the address joins it to everything else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.reading import (
    Fields,
    Item,
    Reading,
    all_traits,
    below,
    campaign_of,
    digest,
    first,
    person_traits,
    skip,
)
from services.ingest.intake.hooks.signature import HookRequest, check_signature, hmac_base64
from services.ingest.intake.payload import decode
from shared.events.touch import TouchType
from shared.events.vocabulary import FORM_SUBMITTED

_CHANNEL_STATUS = {
    "unsubscribed": mail.UNSUBSCRIBED,
    "manual": mail.UNSUBSCRIBED,
    "bounced": mail.BOUNCED,
    "contactable": mail.RESUBSCRIBED,
}

_posts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_encode = msgspec.json.Encoder().encode


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature with the webhook's secret. Raises NotVerified."""
    check_signature(request.header("Webhook-Signature"), (hmac_base64(secret, request.body) for secret in secrets))


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what each event is. Raises Refused."""
    raws = list(_items(body))
    if not raws:
        raise Refused(Reason.EMPTY_BATCH, "It holds no events: Mautic lists them under `mautic.` and their type.")
    return reading.each(raws, lambda item, _: _event(item, reading))


def _items(body: bytes) -> Iterator[bytes]:
    """Yield each event under its type, as a request of its own would hold it."""
    for kind, raw in decode(_posts, body).items():
        if not kind.startswith("mautic."):
            continue
        events = decode(_lists, bytes(raw)) if bytes(raw)[:1] == b"[" else [raw]
        for event in events:
            yield b"{" + _encode(kind) + b":[" + bytes(event) + b"]}"


def _event(post: Fields, reading: Reading) -> Event:
    ((kind, (event,)),) = post.items()
    if not isinstance(event, dict):
        raise Refused(Reason.NOT_AN_OBJECT, f"An event of {kind} is not an object.")
    reader = _READERS.get(kind)
    if reader is None:
        raise skip(f"An event of the type {kind[:100]} tells nothing that a contact did or is.")
    return reader(event, reading, digest(_encode(event)))


def _contact(event: Fields, reading: Reading, own_id: str) -> Event:
    contact = below(event, "contact") or below(event, "lead")
    facts = _facts(contact)
    return reading.identify(
        message_id=own_id,
        at=event.get("timestamp"),
        names=_names(contact, reading),
        traits=all_traits({key: value for key, value in facts.items() if key != "email"}),
    )


def _form(event: Fields, reading: Reading, own_id: str) -> Event:
    submission = below(event, "submission")
    form, results = below(submission, "form"), below(submission, "results")
    number = first(submission.get("id"))
    return reading.track(
        FORM_SUBMITTED,
        message_id=f"submission/{number}" if number else own_id,
        at=submission.get("dateSubmitted") or event.get("timestamp"),
        names=_names(
            below(submission, "lead"), reading, email=results.get("email"), cookie=submission.get("trackingId")
        ),
        properties={
            **results,
            "form": first(form.get("alias"), form.get("name")),
            "form_id": form.get("id"),
            "form_name": form.get("name"),
            "referrer": submission.get("referer"),
        },
        traits=person_traits(results),
        campaign=campaign_of(results),
    )


def _page(event: Fields, reading: Reading, own_id: str) -> Event:
    hit = below(event, "hit")
    number = first(hit.get("id"))
    about: dict[str, Any] = {
        "message_id": f"hit/{number}" if number else own_id,
        "at": hit.get("dateHit") or event.get("timestamp"),
        "names": _names(below(hit, "lead"), reading, cookie=hit.get("trackingId")),
        "user_agent": hit.get("userAgent"),
    }
    email = below(hit, "email")
    if email and hit.get("redirect"):
        return reading.track(
            mail.CLICKED,
            properties={
                "link_url": hit.get("url"),
                "campaign_id": email.get("id"),
                "campaign_name": email.get("name"),
                "email_subject": email.get("subject"),
            },
            **about,
        )
    page = below(hit, "page")
    name = first(page.get("title"), hit.get("urlTitle"))
    properties = {"url": hit.get("url"), "title": name, "referrer": hit.get("referer"), "page": page.get("alias")}
    return reading.event(TouchType.PAGE, name=name, properties=properties, **about)


def _mail(name: str) -> Callable[[Fields, Reading, str], Event]:
    def read_mail(event: Fields, reading: Reading, own_id: str) -> Event:
        stat = below(event, "stat")
        email = below(stat, "email") or below(event, "email")
        number, opened = first(stat.get("id")), first(stat.get("lastOpened"), stat.get("dateRead"))
        sent = first(stat.get("dateSent"))
        return reading.track(
            name,
            message_id=f"{name}/{number}/{opened}" if number else own_id,
            at=(opened if name == mail.OPENED else sent) or event.get("timestamp"),
            names=_names(
                below(stat, "lead") or below(event, "contact"),
                reading,
                email=first(stat.get("emailAddress")) or below(event, "contact").get("email"),
            ),
            properties={
                "email_id": first(stat.get("trackingHash"), number),
                "email_subject": email.get("subject"),
                "campaign_id": email.get("id"),
                "campaign_name": email.get("name"),
            },
        )

    return read_mail


def _channel(event: Fields, reading: Reading, own_id: str) -> Event:
    status, channel = first(event.get("new_status")), first(event.get("channel"))
    if channel not in {"email", ""}:
        raise skip(
            f"It tells of the channel {channel[:40]}; only that of mail says whether a contact may be written to."
        )
    if status not in _CHANNEL_STATUS:
        raise skip(f"The status {status[:40] or 'unknown'} of a channel has no meaning here.")
    return reading.track(
        _CHANNEL_STATUS[status],
        message_id=own_id,
        at=event.get("timestamp"),
        names=_names(below(event, "contact") or below(event, "lead"), reading),
        properties={"channel": channel, "status": status, "previous_status": event.get("old_status")},
    )


_READERS: Mapping[str, Callable[[Fields, Reading, str], Event]] = {
    "mautic.lead_post_save_new": _contact,
    "mautic.lead_post_save_update": _contact,
    "mautic.form_on_submit": _form,
    "mautic.page_on_hit": _page,
    "mautic.email_on_open": _mail(mail.OPENED),
    "mautic.email_on_send": _mail(mail.SENT),
    "mautic.lead_channel_subscription_changed": _channel,
}


def _names(contact: Fields, reading: Reading, *, email: Any = None, cookie: Any = None) -> Names:
    number = first(contact.get("id"))
    return Names(
        email=read_email(email) or read_email(_facts(contact).get("email")),
        anonymous=f"mautic:{reading.origin.source}:{number}" if number else read_identifier(cookie),
    )


def _facts(contact: Fields) -> Fields:
    """Return the values of a contact's fields, which Mautic keeps in groups."""
    facts: Fields = {"email": contact.get("email")}
    for name, group in below(contact, "fields").items():
        for alias, field in group.items() if isinstance(group, dict) else ():
            value = field.get("value") if isinstance(field, dict) else field if name == "all" else None
            if value is not None and value != "":
                facts[alias] = value
    return facts
