"""Accepting records: touches and feedback out of bytes, and what cannot be used with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from services.scorer.domain.instants import Micros, to_micros
from shared.events.contact import ContactErased, ContactMessage, decode_contact
from shared.events.feedback import Feedback, decode_feedback
from shared.events.touch import Touch, decode_touch, decode_touches

_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Published(msgspec.Struct, frozen=True, gc=False):
    """A touch as it came, with what takes long to make of it again."""

    touch: Touch
    payload: msgspec.Raw  # the bytes in which it came, which are kept: writing it anew costs half of what reading does
    occurred_at: Micros
    received_at: Micros

    @classmethod
    def of(cls, touch: Touch, payload: msgspec.Raw) -> Self:
        """Return the touch that came in these bytes. Raises TypeError if its times lack their time zone."""
        return cls(touch, payload, to_micros(touch.occurred_at), to_micros(touch.received_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A record, or one item of it, and why it cannot be used."""

    reason: str
    message: str
    original: bytes
    item: int | None = None


def accept_touches(value: bytes) -> tuple[list[Published], list[Unusable]]:
    """Read a record of `touches`. An item that cannot be used does not take its neighbours along."""
    try:
        items = _decode_items(value)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return [], [Unusable(reason="malformed_touches", message=str(error), original=value)]
    try:
        # All at once: nearly always all can be used, and it takes an eighth less.
        return [Published.of(touch, item) for touch, item in zip(decode_touches(value), items, strict=True)], []
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError):
        return _accept_singly(items)


def _accept_singly(items: Sequence[msgspec.Raw]) -> tuple[list[Published], list[Unusable]]:
    published = []
    unusable = []
    for index, item in enumerate(items):
        try:
            touch = decode_touch(item)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            unusable.append(Unusable(reason="malformed_touch", message=str(error), original=bytes(item), item=index))
            continue
        try:
            published.append(Published.of(touch, item))
        except TypeError:
            message = "`occurred_at` and `received_at` need a time zone: append Z."
            unusable.append(Unusable(reason="malformed_touch", message=message, original=bytes(item), item=index))
    return published, unusable


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
