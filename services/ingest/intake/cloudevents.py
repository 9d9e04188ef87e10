"""CloudEvents 1.0: structured, batched, and binary as the Kafka binding carries it (`ce_` headers).

Who the event is about: `userId`, `anonymousId`, `email` or `traits.email` in the data; else the extension attributes
`userid`, `anonymousid`, `email`; else a `subject` that is an email address.
What it is: `data.type` where that is one of Segment's calls, else the attribute `type` where that is one; everything
else is a track call, named by `data.event` or else by the attribute `type`.
Its message id is the attributes `source` and `id`, which are unique together.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identifiers import Names, read_email, read_identifier
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.domain.source import clean_source
from services.ingest.intake.fields import NO_CONTEXT, TYPES, Fields, Limits, event_of
from services.ingest.intake.payload import check, check_size, decode
from shared.events.touch import TouchType

REQUIRED = ("id", "source", "type", "specversion")

# Keys of the data that are not the event's own facts; what is left are its properties.
_STRUCTURE = frozenset({*Fields.__struct_fields__} - {"type", "event", "name", "category"})


class Attributes(msgspec.Struct, frozen=True):
    """The attributes that are read, whichever way they came."""

    id: Any = None
    source: Any = None
    type: Any = None
    specversion: Any = None
    time: Any = None
    subject: Any = None
    datacontenttype: Any = None
    userid: Any = None
    anonymousid: Any = None
    email: Any = None


class _Structured(Attributes, frozen=True):
    data: msgspec.Raw = msgspec.Raw()
    data_base64: Any = None


_events = msgspec.json.Decoder(_Structured)
_batches = msgspec.json.Decoder(list[msgspec.Raw])
_objects = msgspec.json.Decoder(dict[str, Any])


def read_batch(body: bytes, origin: Origin, limits: Limits) -> list[Event | Rejection]:
    """Return what each event of a batch is. Raises Refused when it cannot be told apart into events."""
    events = decode(_batches, body)
    return [
        read_structured(bytes(raw), origin, limits, item=item, frame=(b"[", b"]")) for item, raw in enumerate(events)
    ]


def read_structured(
    body: bytes, origin: Origin, limits: Limits, *, item: int = 0, frame: tuple[bytes, bytes] = (b"", b"")
) -> Event | Rejection:
    """Return what an event in JSON is."""
    try:
        check_size(len(body), limits.max_event_bytes)
        check(body)
        event = decode(_events, body)
        data = bytes(event.data)
        if event.data_base64 is not None:
            data = _from_base64(event.data_base64)
            check_size(len(data), limits.max_event_bytes)
        return _event(event, data, origin, limits)
    except Refused as refused:
        return Rejection(refused.reason, refused.message, body, item, frame)


def read_binary(body: bytes, headers: Mapping[str, str], origin: Origin, limits: Limits) -> Event | Rejection:
    """Return what an event with its attributes in headers is; `headers` have the names of the Kafka binding."""
    try:
        check_size(len(body), limits.max_event_bytes)
        return _event(_attributes(headers), body, origin, limits)
    except Refused as refused:
        return Rejection(refused.reason, refused.message, body, 0)


def _attributes(headers: Mapping[str, str]) -> Attributes:
    given = {name: headers[f"ce_{name}"] for name in Attributes.__struct_fields__ if f"ce_{name}" in headers}
    if any("\0" in value for value in given.values()):
        raise Refused(Reason.NUL_CHARACTER, "Send attributes without the character NUL.")
    return Attributes(**given)


def _event(attributes: Attributes, raw: bytes, origin: Origin, limits: Limits) -> Event:
    for name in REQUIRED:
        value = getattr(attributes, name)
        if not isinstance(value, str) or not value:
            raise Refused(Reason.MISSING_ATTRIBUTE, f"Give the CloudEvent a text as its attribute `{name}`.")
    if attributes.specversion != "1.0":
        raise Refused(Reason.UNSUPPORTED_VERSION, f"Send specversion 1.0, not {attributes.specversion[:20]}.")
    data = _data(raw)
    try:
        fields = msgspec.convert(data, Fields)
    except msgspec.ValidationError as error:
        raise Refused(Reason.WRONG_TYPE, f"{error} of the data.") from None
    kind = _type_of(fields.type) or _type_of(attributes.type) or TouchType.TRACK
    properties = fields.properties
    if properties is None:
        properties = {key: value for key, value in data.items() if key not in _STRUCTURE}
    event = event_of(
        msgspec.structs.replace(
            fields,
            event=fields.event if scalar_text(fields.event).strip() else attributes.type,
            timestamp=attributes.time if attributes.time is not None else fields.timestamp,
            properties=properties,
        ),
        kind,
        origin,
        context=NO_CONTEXT,
        sent_at=None,
        message_id=f"{attributes.source}\x1f{attributes.id}",
        limits=limits,
        fallback=_names_beside(data, attributes, fields),
    )
    return event if origin.is_named else msgspec.structs.replace(event, source=clean_source(attributes.source))


def _names_beside(data: dict[str, Any], attributes: Attributes, fields: Fields) -> Names:
    user = read_identifier(attributes.userid)
    anonymous = read_identifier(attributes.anonymousid)
    email = read_email(data.get("email")) or read_email(attributes.email)
    if not (user or anonymous or email or read_identifier(fields.userId) or read_identifier(fields.anonymousId)):
        email = read_email(attributes.subject)
    return Names(user=user, anonymous=anonymous, email=email)


def _data(raw: bytes) -> dict[str, Any]:
    if not raw.strip() or raw == b"null":
        return {}
    try:
        data = decode(_objects, raw)
    except Refused as refused:
        if refused.reason in {Reason.NOT_AN_OBJECT, Reason.INVALID_JSON}:
            raise Refused(Reason.DATA_NOT_AN_OBJECT, f"Send a JSON object as data. {refused.message}") from None
        raise
    check(raw)
    return data


def _from_base64(value: Any) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (TypeError, ValueError):
        raise Refused(Reason.WRONG_TYPE, "`data_base64` is not base64.") from None


def _type_of(value: Any) -> TouchType | None:
    return TYPES.get(value.strip().lower()) if isinstance(value, str) else None
