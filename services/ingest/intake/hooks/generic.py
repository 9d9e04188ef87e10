"""Any other provider: JSON or a form, understood by the mapping of its source."""

from collections.abc import Mapping
from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.fields import TYPES, Limits
from services.ingest.intake.hooks.form_body import tree_of
from services.ingest.intake.hooks.mapping import (
    EventMapping,
    Expression,
    MappingError,
    compile_mapping,
    consent_found,
    search,
)
from services.ingest.intake.hooks.reading import Fields, Item, Reading, digest, names_of
from services.ingest.intake.payload import check, decode, repaired
from shared.events.touch import TouchType

FORM = "application/x-www-form-urlencoded"

_anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
_encode = msgspec.json.Encoder(order="deterministic").encode


def read(body: bytes, reading: Reading) -> list[Item]:
    """Return what the mapping makes of the body. Raises Refused.

    What cannot be mapped is one rejection with the whole body, since expressions may look anywhere in it. Its
    neighbours are understood; replayed under a corrected mapping they are repeats, which count once.
    """
    mapping = _mapping(reading.mapping)
    document = _document(body, reading.content_type)
    found = search("events", mapping.events, document, document) if mapping.events else document
    candidates = found if isinstance(found, list) else [found]
    items: list[Item] = []
    refusals: list[tuple[int, Refused]] = []
    for number, candidate in enumerate(candidates):
        try:
            items.append(_event(candidate, document, mapping, reading))
        except Refused as refused:
            refusals.append((number, refused))
    if not candidates or found is None:
        raise Refused(Reason.NOT_MAPPED, "The mapping's `events` finds no event in it.")
    if refusals:
        number, worst = refusals[0]
        counted = (
            f"{len(refusals)} of {len(candidates)} events; the first is number {number}. "
            if len(candidates) > 1
            else ""
        )
        items.append(Rejection(worst.reason, f"{counted}{worst.message}", body))
    return items


def sample(
    mapping: str, body: bytes, *, origin: Origin, limits: Limits, content_type: str = "application/json"
) -> list[Item]:
    """Return what a source with this mapping would make of the body. Raises MappingError."""
    compile_mapping(mapping)
    reading = Reading(origin=origin, limits=limits, content_type=content_type, mapping=mapping)
    try:
        return read(repaired(body), reading)
    except Refused as refused:
        return [Rejection(refused.reason, refused.message, body)]


def _mapping(text: str) -> EventMapping:
    if not text.strip():
        raise Refused(Reason.NOT_MAPPED, "Its source has no mapping; give it one, then replay this.")
    try:
        return compile_mapping(text)
    except MappingError as error:
        raise Refused(Reason.NOT_MAPPED, f"The mapping of its source is wrong. {error.problems[0]}") from None


def _document(body: bytes, content_type: str) -> Any:
    is_form = content_type.partition(";")[0].strip().lower() == FORM
    if is_form and body.lstrip()[:1] not in {b"{", b"["}:  # some call JSON a form, as curl does
        return tree_of(body)
    check(body)
    return decode(_anything, body)


def _event(event: Any, body: Any, mapping: EventMapping, reading: Reading) -> Event:
    texts = {key: search(key, expression, event, body) for key, expression in mapping.texts.items()}
    for key in ("type", "name"):
        if not scalar_text(texts.get(key)).strip():
            texts[key] = mapping.constants.get(key)
    kind = _type(texts["type"])
    name = scalar_text(texts["name"]).strip()
    if kind is TouchType.TRACK and not name:
        raise Refused(Reason.NO_EVENT_NAME, "The mapping's `name` finds nothing in it.")
    return reading.event(
        kind,
        name=name if kind is not TouchType.IDENTIFY else "",
        message_id=scalar_text(texts.get("message_id")).strip() or digest(_encode(event)),
        at=texts.get("timestamp"),
        names=names_of(
            email=texts.get("email"), user=texts.get("user_id"), beside={"anonymous_id": texts.get("anonymous_id")}
        ),
        properties=_object("properties", mapping, event, body),
        traits=_object("traits", mapping, event, body),
        user_agent=texts.get("user_agent"),
        consent=consent_found(mapping.consent, event, body) if mapping.consent else None,
    )


def _type(value: Any) -> TouchType:
    kind = TYPES.get(scalar_text(value).strip().lower() or "track")
    if kind is None:
        raise Refused(Reason.UNKNOWN_TYPE, f"The mapping's `type` finds none of {', '.join(TYPES)}.")
    if kind in {TouchType.GROUP, TouchType.ALIAS}:
        raise Refused(Reason.UNKNOWN_TYPE, f"A mapping makes no {kind} calls; send them to Segment's paths.")
    return kind


def _object(key: str, mapping: EventMapping, event: Any, body: Any) -> Fields:
    constant: Fields = mapping.constants.get(key, {})
    match mapping.objects.get(key):
        case None:
            return constant
        case Expression() as expression:
            found = search(key, expression, event, body)
            if not isinstance(found, dict | None):
                raise Refused(Reason.NOT_MAPPED, f"The mapping's `{key}` finds something else than an object.")
            return {**constant, **(found or {})}
        case Mapping() as table:
            found = {name: search(f"{key}.{name}", expression, event, body) for name, expression in table.items()}
            return {**constant, **{name: value for name, value in found.items() if value is not None}}
