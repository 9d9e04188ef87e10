"""The touch as it travels from ingest to the scorer.

A record on `touches` is a JSON list of touches whose contacts all belong to the record's partition.

`gc=False`: what came from JSON holds no cycles, and thousands of touches at once are much for the collector to walk.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

import msgspec

SourceKind = Literal["web", "campaign"]


class TouchType(StrEnum):
    """What kind of call brought the touch."""

    TRACK = "track"
    PAGE = "page"
    SCREEN = "screen"
    IDENTIFY = "identify"
    GROUP = "group"
    ALIAS = "alias"


# Something happened; the other types only tell who the contact is. Whether it was the contact's own doing is told by
# the name of a track call (`vocabulary.is_own_doing`).
ACTIONS = frozenset({TouchType.TRACK, TouchType.PAGE, TouchType.SCREEN})


class Alias(msgspec.Struct, frozen=True, order=True, gc=False):
    """An identifier that names a contact: kind is `anonymous`, `user` or `email`."""

    kind: Literal["anonymous", "user", "email"]
    value: str


class Campaign(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The campaign that brought the contact, from utm parameters or the mail platform."""

    name: str = ""
    source: str = ""
    medium: str = ""
    term: str = ""
    content: str = ""


class Touch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing one contact did at one time, understood, identified, under an identity that makes repeats harmless.

    `occurred_at` is the sender's time corrected by its clock skew and never later than `received_at` plus the skew
    allowed by ingest; `received_at` is stamped once, when ingest accepted the event. Both are UTC.
    """

    id: UUID
    contact_id: UUID
    source: str
    kind: SourceKind
    type: TouchType
    name: str = ""  # event name of a track call, page name of a page call
    occurred_at: datetime
    received_at: datetime
    url: str = ""
    path: str = ""
    title: str = ""
    referrer: str = ""
    campaign: Campaign | None = None
    properties: dict[str, Any] = {}
    aliases: tuple[Alias, ...] = ()  # those that the event carried and that name this contact
    traits: dict[str, Any] = {}  # of the contact; the newest `occurred_at` wins key by key
    account_domain: str = ""
    account_traits: dict[str, Any] = {}
    suspect: str = ""  # code of what speaks for a machine, such as `bot_user_agent`; "" when nothing does
    opted_out: bool | None = None  # True: asked to be left alone; False: opted in again


TouchBatch = list[Touch]


def touches_partition(contact_id: UUID, partitions: int) -> int:
    """Return the partition of a contact's touches. Its id is a hash already; hashing it again costs each touch 5 µs."""
    return contact_id.int % partitions


encode_touch = encode_touches = msgspec.json.Encoder().encode
decode_touch = msgspec.json.Decoder(Touch).decode
_decoder = msgspec.json.Decoder(TouchBatch)


def decode_touches(value: bytes) -> TouchBatch:
    """Read one record of `touches`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
