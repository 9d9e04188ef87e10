"""What a request has to be before it is stored: JSON of the right outline. What its items are is found out later."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.payload import decode, repaired
from services.ingest.intake.record import Intake

_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")


class Envelope(msgspec.Struct, frozen=True):
    """An acceptable request: how many events it holds, and the write keys in it."""

    events: int
    write_keys: tuple[str, ...] = ()


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw]
    writeKey: msgspec.Raw = msgspec.Raw()  # noqa: N815  # the protocol's spelling


class _Call(msgspec.Struct, frozen=True):
    writeKey: msgspec.Raw = msgspec.Raw()  # noqa: N815


NONE = msgspec.Raw()


class _PosthogToken(msgspec.Struct, frozen=True):
    token: msgspec.Raw = NONE


class _PosthogItem(msgspec.Struct, frozen=True):
    api_key: msgspec.Raw = NONE
    token: msgspec.Raw = NONE
    people_token: msgspec.Raw = msgspec.field(default=NONE, name="$token")
    uuid: msgspec.Raw = NONE
    properties: _PosthogToken | None = None


class _PosthogBody(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw] | None = None
    api_key: msgspec.Raw = NONE
    token: msgspec.Raw = NONE
    people_token: msgspec.Raw = msgspec.field(default=NONE, name="$token")


class _Payload(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]


class _App(msgspec.Struct, frozen=True):
    aid: msgspec.Raw = NONE


_batches = msgspec.json.Decoder(_Batch)
_posthog_bodies = msgspec.json.Decoder(_PosthogBody)
_posthog_items = msgspec.json.Decoder(_PosthogItem)
_payloads = msgspec.json.Decoder(_Payload)
_apps = msgspec.json.Decoder(_App)
_calls = msgspec.json.Decoder(_Call)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_texts = msgspec.json.Decoder(str)
_anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.Raw)


def open_batch(body: bytes) -> Envelope:
    """Open a batch in Segment's form. Raises Refused."""
    batch = decode(_batches, repaired(body))
    if not batch.batch:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `batch`.")
    return Envelope(len(batch.batch), _keys(batch.writeKey))


def open_call(body: bytes) -> Envelope:
    """Open a single call in Segment's form. Raises Refused."""
    return Envelope(1, _keys(decode(_calls, repaired(body)).writeKey))


def open_posthog(body: bytes) -> Envelope:
    """Open what PostHog's SDKs send, unwrapped: one event, a list, or a batch. Raises Refused."""
    body = repaired(body)
    if body.lstrip()[:1] == b"[":
        return _posthog_list(decode(_lists, body))
    batch = decode(_posthog_bodies, body)
    keys = _keys(batch.api_key, batch.token, batch.people_token)
    if batch.batch is None:
        return Envelope(1, keys or _posthog_keys(body))
    inside = _posthog_list(batch.batch)
    return Envelope(inside.events, keys or inside.write_keys)


def _posthog_list(events: list[msgspec.Raw]) -> Envelope:
    if not events:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event.")
    keys = next(filter(None, map(_posthog_keys, events)), ())
    return Envelope(len(events), keys)


def _posthog_keys(event: bytes | msgspec.Raw) -> tuple[str, ...]:
    try:
        item = _posthog_items.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()  # the worker says what is wrong with it
    return _keys(item.api_key, item.token, item.people_token, item.properties.token if item.properties else NONE)


def posthog_ids(body: bytes) -> list[str]:
    """Return the ids of the events in what was opened as a batch or a list, of those that have one."""
    body = repaired(body)
    batch = _lists.decode(body) if body.lstrip()[:1] == b"[" else _posthog_bodies.decode(body).batch or []
    found: list[str] = []
    for event in batch:
        try:
            found += _keys(_posthog_items.decode(event).uuid)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    return found


def open_snowplow(body: bytes) -> Envelope:
    """Open a payload of Snowplow's trackers; each app id in it may be the key. Raises Refused."""
    events = decode(_payloads, repaired(body)).data
    if not events:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `data`.")
    keys: dict[str, None] = {}
    for event in events:
        try:
            keys.update(dict.fromkeys(_keys(_apps.decode(event).aid)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue  # the worker says what is wrong with it
    return Envelope(len(events), tuple(keys))


def open_cloudevents(body: bytes, intake: Intake, *, content_type: str) -> Envelope:
    """Open CloudEvents. Raises Refused."""
    match intake:
        case Intake.CLOUDEVENTS_BATCH:
            return Envelope(len(decode(_lists, repaired(body))))
        case Intake.CLOUDEVENTS_BINARY:
            if body.strip() and (not content_type or "json" in content_type):
                decode(_anything, repaired(body))
            return Envelope(1)
        case _:
            decode(_calls, repaired(body))
            return Envelope(1)


def cloudevents_form(body: bytes, *, content_type: str, attributes: dict[str, str]) -> Intake | None:
    """Tell which form a request has, by its media type, its headers, and else its bytes; None: no form of ours."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith("application/cloudevents"):
        if media_type in {"application/cloudevents-batch", "application/cloudevents-batch+json"}:
            return Intake.CLOUDEVENTS_BATCH
        if media_type in {"application/cloudevents", "application/cloudevents+json"}:
            return Intake.CLOUDEVENTS_STRUCTURED
        return None
    if attributes:
        return Intake.CLOUDEVENTS_BINARY
    return Intake.CLOUDEVENTS_BATCH if repaired(body[:64]).lstrip()[:1] == b"[" else Intake.CLOUDEVENTS_STRUCTURED


def attributes_of(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return the attributes in `ce-` headers, unquoted and percent-decoded. Raises Refused."""
    attributes = {}
    for name, value in headers:
        if name.startswith(b"ce-"):
            attribute = name[3:].decode("latin-1").lower()
            if not _ATTRIBUTE.fullmatch(attribute):
                raise Refused(Reason.WRONG_TYPE, "Name CloudEvents attributes with small letters and digits only.")
            try:
                attributes[attribute] = unquote_to_bytes(_unquoted(value.strip())).decode()
            except UnicodeDecodeError:
                raise Refused(Reason.WRONG_TYPE, f"The header ce-{attribute} is not percent-encoded UTF-8.") from None
    return attributes


def _unquoted(value: bytes) -> bytes:
    if len(value) < 2 or not (value.startswith(b'"') and value.endswith(b'"')):
        return value
    return re.sub(rb"\\(.)", rb"\1", value[1:-1])


def _keys(*texts: msgspec.Raw) -> tuple[str, ...]:
    """Return those that are texts and not empty."""
    keys = []
    for raw in texts:
        try:
            keys.append(_texts.decode(raw) if bytes(raw) else "")
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return tuple(filter(None, keys))
