"""What the router tells the world: each step of a handoff. Key = contact id."""

from datetime import datetime
from decimal import Decimal
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
    EXPIRED = "expired"  # its rep did not answer in time
    REASSIGNED = "reassigned"  # somebody else has it now
    ESCALATED = "escalated"  # the manager of the pool has it now
    OBJECTION = "objection"  # something that the contact holds against buying
    STORY = "story"  # what the customer tells of it


class Feedback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one handoff.

    Records of one handoff are in the order of `number`. Numbers that are missing are steps that are nobody's business
    but the router's.
    """

    id: UUID
    handoff_id: UUID
    contact_id: UUID
    kind: FeedbackKind
    at: datetime
    by: str = ""  # name of the person or the part of Tandem that did it
    reason: str = ""  # of a rejection, one of the agreement's; or why a deal was lost
    note: str = ""  # in the rep's words; of a story, the story
    number: int = 0  # of the step, counted from 1 for each handoff; 0: written before steps were numbered
    rep: str = ""  # who has it; when it expired, who had it
    pool: str = ""
    objection: str = ""
    amount: Decimal | None = None  # that the deal was won for
    currency: str = ""  # of the amount, as in ISO 4217


encode_feedback = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Feedback)


def decode_feedback(value: bytes) -> Feedback:
    """Read one record of `feedback`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
