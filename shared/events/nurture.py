"""What the scorer tells marketing about contacts that are not with sales. Key = contact id."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from shared.events.touch import Alias


class NurtureKind(StrEnum):
    """Why marketing is told."""

    STAGE = "stage"  # the contact entered or left a stage of the journey without being ready
    RECYCLED = "recycled"  # sales gave it back
    COOLED = "cooled"  # its handoff is open, and its engagement fell below the re-arm level


class ContactNurture(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="contact.nurture", tag_field="type"
):
    """A contact that marketing should keep helping, and where it stands."""

    id: UUID
    contact_id: UUID
    kind: NurtureKind
    at: datetime  # of the decision; always after an opt-out that was taken back
    agreement: int  # version that it was decided under
    stage: str | None  # now
    before: str | None  # as marketing was told last
    engagement: float
    fit: float
    touches: int
    aliases: tuple[Alias, ...] = ()
    account_domain: str = ""
    handoff_id: UUID | None = None  # that was given back, or that is still open
    reason: str = ""  # why sales gave it back; one of the agreement's


encode_nurture = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ContactNurture)


def decode_nurture(value: bytes) -> ContactNurture:
    """Read one record of `nurture`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
