"""Calendly's webhooks: one event a request, signed over a time and the raw body.

Calendly tries for a day, then switches the webhook off without a word. Its own example allows three minutes, but
whether a retry is stamped anew is not documented, so the window is a day; a replay repeats an event whose id is known.
"""

from collections.abc import Sequence
from datetime import timedelta

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import read_email
from services.ingest.intake.hooks.reading import (
    Fields,
    Item,
    Reading,
    below,
    campaign_of,
    digest,
    first,
    listed,
    names_of,
    person_traits,
    skip,
    slug,
)
from services.ingest.intake.hooks.signature import HookRequest, check_age, check_signature, hmac_hex
from shared.events.vocabulary import FORM_SUBMITTED

WINDOW = timedelta(hours=25)


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature with the key that the subscription was made with. Raises NotVerified."""
    parts = dict(part.strip().partition("=")[::2] for part in request.header("Calendly-Webhook-Signature").split(","))
    stamp = parts.get("t", "")
    check_age(stamp, now=request.received_at, window=WINDOW)
    check_signature(parts.get("v1", ""), (hmac_hex(secret, stamp.encode(), b".", request.body) for secret in secrets))


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the event is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind, payload = first(item.get("event")), below(item, "payload")
        answers = _answers(payload)
        invitee = first(payload.get("uri"))
        about = {
            "message_id": f"{kind}/{invitee}" if invitee else digest(raw),
            "at": item.get("created_at"),
            "campaign": campaign_of(below(payload, "tracking")),
        }
        if kind == "routing_form_submission.created":
            form = first(payload.get("routing_form")).rpartition("/")[2]
            return reading.track(
                FORM_SUBMITTED,
                names=names_of(email=first(payload.get("email")) or _address(answers)),
                properties={**answers, "form": form or "routing form", "form_id": form},
                traits=person_traits(answers),
                **about,
            )
        return reading.track(
            _name(kind, payload),
            names=names_of(email=payload.get("email")),
            properties={**answers, **_meeting(payload)},
            traits={
                **person_traits(answers),
                "name": payload.get("name"),
                "firstName": payload.get("first_name"),
                "lastName": payload.get("last_name"),
                "timezone": payload.get("timezone"),
            },
            **about,
        )

    return reading.each([body], one)


def _name(kind: str, payload: Fields) -> str:
    match kind:
        case "invitee.created":
            return "Meeting Rescheduled" if payload.get("old_invitee") else "Meeting Booked"
        case "invitee.canceled":
            if payload.get("rescheduled") is True:
                raise skip("The meeting was moved; the booking that takes its place tells so.")
            return "Meeting Canceled"
        case "invitee_no_show.created":
            return "Meeting Missed"
        case _:
            raise skip(f"An event of the type {kind[:60] or 'unknown'} tells nothing that a contact did.")


def _meeting(payload: Fields) -> Fields:
    event, canceled = below(payload, "scheduled_event"), below(payload, "cancellation")
    return {
        "meeting": event.get("name"),
        "starts_at": event.get("start_time"),
        "ends_at": event.get("end_time"),
        "meeting_id": first(event.get("uri"), payload.get("event")),
        "reason": canceled.get("reason"),
        "canceled_by": canceled.get("canceler_type"),
    }


def _answers(payload: Fields) -> Fields:
    answers = [answer for answer in listed(payload.get("questions_and_answers")) if isinstance(answer, dict)]
    return {key: answer.get("answer") for answer in answers if (key := slug(first(answer.get("question"))))}


def _address(answers: Fields) -> str:
    return next((email for answer in answers.values() if (email := read_email(answer))), "")
