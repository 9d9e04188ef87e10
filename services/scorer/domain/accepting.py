"""Accepting records: touches and feedback out of bytes, and what cannot be used with the reason."""

from dataclasses import dataclass

import msgspec

from shared.events.contact import ContactErased, ContactMessage, decode_contact
from shared.events.feedback import Feedback, decode_feedback
from shared.events.touch import Touch, decode_touches

_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_touch = msgspec.json.Decoder(Touch).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A record, or one item of it, and why it cannot be used."""

    reason: str
    message: str
    original: bytes
    item: int | None = None


def accept_touches(value: bytes) -> tuple[list[Touch], list[Unusable]]:
    """Read a record of `touches`. An item that cannot be used does not take its neighbours along."""
    try:
        touches = decode_touches(value)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _one_by_one(value)
    if all(_has_time_zones(touch) for touch in touches):
        return touches, []
    return _one_by_one(value)


def accept_feedback(value: bytes) -> Feedback | Unusable:
    """Read a record of `feedback`."""
    try:
        feedback = decode_feedback(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return Unusable(reason="malformed_feedback", message=str(error), original=value)
    if feedback.at.tzinfo is None:
        return Unusable(reason="malformed_feedback", message="`at` needs a time zone: append Z.", original=value)
    return feedback


def accept_contact(value: bytes) -> ContactMessage | Unusable:
    """Read a record of `contacts`."""
    try:
        message = decode_contact(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return Unusable(reason="malformed_contact", message=str(error), original=value)
    if message.at.tzinfo is None:
        return Unusable(reason="malformed_contact", message="`at` needs a time zone: append Z.", original=value)
    if not isinstance(message, ContactErased) and message.survivor == message.other:
        return Unusable(
            reason="malformed_contact", message="`survivor` and `other` have to be two contacts.", original=value
        )
    return message


def _one_by_one(value: bytes) -> tuple[list[Touch], list[Unusable]]:
    try:
        items = _decode_items(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return [], [Unusable(reason="malformed_touches", message=str(error), original=value)]
    touches = []
    unusable = []
    for index, item in enumerate(items):
        raw = bytes(item)
        try:
            touch = _decode_touch(raw)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            unusable.append(Unusable(reason="malformed_touch", message=str(error), original=raw, item=index))
            continue
        if _has_time_zones(touch):
            touches.append(touch)
        else:
            message = "`occurred_at` and `received_at` need a time zone: append Z."
            unusable.append(Unusable(reason="malformed_touch", message=message, original=raw, item=index))
    return touches, unusable


def _has_time_zones(touch: Touch) -> bool:
    return touch.occurred_at.tzinfo is not None and touch.received_at.tzinfo is not None
