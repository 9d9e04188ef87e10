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
    """An acceptable request: how many events it holds, and the write key in it, if any."""

    events: int
    write_key: str = ""


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw]
    writeKey: msgspec.Raw = msgspec.Raw()  # noqa: N815  # the protocol's spelling


class _Call(msgspec.Struct, frozen=True):
    writeKey: msgspec.Raw = msgspec.Raw()  # noqa: N815


_batches = msgspec.json.Decoder(_Batch)
_calls = msgspec.json.Decoder(_Call)
_lists = msgspec.json.Decoder(list[msgspec.Raw])
_texts = msgspec.json.Decoder(str)
_anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder(msgspec.Raw)


def open_batch(body: bytes) -> Envelope:
    """Open a batch in Segment's form. Raises Refused."""
    batch = decode(_batches, repaired(body))
    if not batch.batch:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `batch`.")
    return Envelope(len(batch.batch), _text(batch.writeKey))


def open_call(body: bytes) -> Envelope:
    """Open a single call in Segment's form. Raises Refused."""
    return Envelope(1, _text(decode(_calls, repaired(body)).writeKey))


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


def _text(raw: msgspec.Raw) -> str:
    if not bytes(raw):
        return ""
    try:
        return _texts.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
