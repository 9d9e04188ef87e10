"""What could not be understood, kept with its reason and the original bytes, so that it can be replayed."""

from datetime import datetime
from uuid import UUID

import msgspec


class Rejected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing set aside on `events.rejected`."""

    id: UUID  # derived from where it stood, so that a repeat is the same rejection
    topic: str
    partition: int
    offset: int
    reason: str  # a code such as `no_identifier`
    message: str  # what was wrong, and what would be right
    at: datetime
    original: bytes  # the item, or the whole record when it could not be taken apart; base64 in JSON
    headers: dict[str, str] = {}  # of the record: which protocol and source it came by
    item: int | None = None  # index within the record's batch


encode_rejected = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Rejected)


def decode_rejected(value: bytes) -> Rejected:
    """Read one record of `events.rejected`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
