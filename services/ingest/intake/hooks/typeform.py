"""Typeform's webhooks: one response a request, signed over the raw body without a time."""

import re
from collections.abc import Sequence
from typing import Any

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
from services.ingest.intake.hooks.signature import HookRequest, check_signature, hmac_base64
from shared.events.vocabulary import FORM_SUBMITTED

_NAMES = {"form_response": FORM_SUBMITTED, "form_response_partial": "Form Partially Submitted"}
# References that Typeform makes itself tell nothing; those that a person wrote are good names.
_MADE_REFERENCE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9A-HJKMNP-TV-Z]{26}")


def verify(request: HookRequest, secrets: Sequence[str]) -> None:
    """Check the signature with the webhook's secret. Raises NotVerified."""
    check_signature(
        request.header("Typeform-Signature"), (b"sha256=" + hmac_base64(secret, request.body) for secret in secrets)
    )


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the response is. Raises Refused."""

    def one(item: Fields, raw: bytes) -> Event:
        kind = first(item.get("event_type"))
        if kind not in _NAMES:
            raise skip("It is no response to a form.")
        response = below(item, "form_response")
        hidden, definition = below(response, "hidden"), below(response, "definition")
        answers = _answers(response, definition)
        form, token = first(response.get("form_id")), first(response.get("token"))
        return reading.track(
            _NAMES[kind],
            message_id=f"{kind}/{token}"
            if token and kind == "form_response"
            else first(item.get("event_id")) or digest(raw),
            at=response.get("submitted_at"),
            names=names_of(email=_address(response) or hidden.get("email"), beside=hidden),
            properties={
                **hidden,
                **answers,
                "form": first(hidden.get("form"), definition.get("title"), form),
                "form_id": form,
                "form_title": definition.get("title"),
            },
            traits=person_traits({**hidden, **answers}),
            campaign=campaign_of(hidden),
            user_agent=below(response, "metadata").get("user_agent"),
        )

    return reading.each([body], one)


def _answers(response: Fields, definition: Fields) -> Fields:
    titles = {
        first(field.get("id")): first(field.get("title"))
        for field in listed(definition.get("fields"))
        if isinstance(field, dict)
    }
    answers: Fields = {}
    for answer in listed(response.get("answers")):
        if not isinstance(answer, dict):
            continue
        field = below(answer, "field")
        number, reference = first(field.get("id")), first(field.get("ref"))
        key = "" if _MADE_REFERENCE.fullmatch(reference) else reference
        key = key or slug(titles.get(number, "")) or number
        if key:
            answers[key] = _value(answer)
    return answers


def _value(answer: Fields) -> Any:
    match answer.get(first(answer.get("type"))):
        case {"label": label}:
            return label
        case {"labels": [*labels], "other": str(other)}:
            return [*labels, other]
        case {"labels": labels}:
            return labels
        case {"other": other}:
            return other
        case value:
            return value


def _address(response: Fields) -> str:
    answers = [answer for answer in listed(response.get("answers")) if isinstance(answer, dict)]
    return next((email for answer in answers if (email := read_email(answer.get("email")))), "")
