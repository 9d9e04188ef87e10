"""What the router tells the world: each step of a handoff. Key = contact id."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec


class FeedbackKind(StrEnum):
    """A step that a handoff took."""

    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RECYCLED = "recycled"  # given back to marketing: the scorer re-arms after the cool-down
    QUALIFIED = "qualified"
    WON = "won"
    LOST = "lost"


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one handoff."""

    id: UUID
    handoff_id: UUID
    contact_id: UUID
    kind: FeedbackKind
    at: datetime
    by: str = ""  # name of the person or the part of Tandem that did it
    reason: str = ""  # of a rejection; one of the agreement's
    note: str = ""


encode_feedback = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Feedback)


def decode_feedback(value: bytes) -> Feedback:
    """Read one record of `feedback`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
