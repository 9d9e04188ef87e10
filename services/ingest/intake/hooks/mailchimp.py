"""Mailchimp's webhooks of an audience: a form. Mailchimp signs nothing and gives no id, so the body is the id."""

from typing import Any

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Refused, Rejection
from services.ingest.intake.hooks import mail
from services.ingest.intake.hooks.form_body import tree_of
from services.ingest.intake.hooks.reading import (
    Fields,
    Item,
    Reading,
    all_traits,
    below,
    digest,
    first,
    names_of,
    skip,
    title,
)


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the event is. Raises Refused."""
    form = tree_of(body)
    try:
        return [_event(form, body, reading)]
    except Refused as refused:
        return [Rejection(refused.reason, refused.message, body, 0)]


def _event(form: Fields, body: bytes, reading: Reading) -> Event:
    kind, data = first(form.get("type")), below(form, "data")
    merges = {key: value for key, value in below(data, "merges").items() if key != "EMAIL" and isinstance(value, str)}
    about: dict[str, Any] = {
        "message_id": digest(body),
        "at": form.get("fired_at") or None,
        "names": names_of(email=first(data.get("email"), data.get("new_email"), below(data, "merges").get("EMAIL"))),
        "traits": all_traits(merges),
    }
    properties = {key: data.get(key) for key in ("list_id", "reason", "action", "campaign_id")}
    match kind:
        case "subscribe":
            return reading.track(mail.RESUBSCRIBED, properties=properties, **about)
        case "unsubscribe":
            return reading.track(mail.UNSUBSCRIBED, properties=properties, **about)
        case "cleaned":
            name = mail.SPAM if data.get("reason") == "abuse" else mail.BOUNCED
            return reading.track(name, properties=properties, **about)
        case "profile":
            return reading.identify(**about)
        case "upemail":
            about["traits"] = {**about["traits"], "previous_email": data.get("old_email")}
            return reading.identify(**about)
        case "campaign":
            raise skip("It tells that a campaign was sent, not of a contact.")
        case _:
            return reading.track(f"Mailchimp {title(kind) or 'Event'}", properties=properties, **about)
