"""The fields of Snowplow's events: texts that stand for numbers, times, and JSON that is plain or in base64."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import msgspec

from services.ingest.domain.instants import read_milliseconds
from services.ingest.domain.rejection import Reason, Refused
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.payload import check, decode, repaired

_URL_SAFE = str.maketrans("-_ ", "+/+")

Fields = dict[str, Any]

objects = msgspec.json.Decoder(dict[str, Any])


def read_schema(value: Any) -> tuple[str, str]:
    """Return vendor and name of a schema `iglu:vendor/name/format/version`, "" for what is none."""
    parts = value.removeprefix("iglu:").split("/") if isinstance(value, str) else []
    return (parts[0], parts[1].strip()) if len(parts) == 4 else ("", "")


def read_json(fields: Fields, plain: str, encoded: str) -> Fields:
    """Return the JSON of whichever of the two fields is there, {} for neither. Raises Refused."""
    if text := text_of(fields, plain):
        raw = text.encode("utf-8", "replace")
    elif text := text_of(fields, encoded):
        try:
            text = text.rstrip("=").translate(_URL_SAFE)
            raw = b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            raise Refused(Reason.WRONG_TYPE, f"`{encoded}` is not base64.") from None
    else:
        return {}
    raw = repaired(raw)
    check(raw)
    return decode(objects, raw)


def read_time(fields: Fields, field: str) -> Any:
    """Return the milliseconds of the field as an instant, None when it is not there. Raises Refused."""
    value = fields.get(field)
    return None if value is None or value == "" else read_milliseconds(value)


def sent_at(fields: Fields) -> Any:
    """Return when the tracker sent the event, None where it does not say so rightly."""
    try:
        return read_time(fields, "stm")
    except Refused:
        return None  # a time of sending that is none corrects nothing


def texts_of(fields: Fields, names: Mapping[str, str]) -> Fields:
    """Return the fields that are there under our names."""
    return {ours: text for ours, theirs in names.items() if (text := text_of(fields, theirs))}


def amounts_of(fields: Fields, names: Mapping[str, str]) -> Fields:
    """Return the fields that are numbers as numbers."""
    found: Fields = {}
    for ours, theirs in names.items():
        if text := text_of(fields, theirs):
            try:
                found[ours] = msgspec.json.decode(text, type=float)
            except msgspec.DecodeError:
                found[ours] = text
    return found


def text_of(fields: Fields, field: str) -> str:
    """Return the field as text, "" when it is not there."""
    return scalar_text(fields.get(field)).strip()
