"""What could not be understood, kept with its reason and the original bytes, so that it can be replayed.

A replay appends `before + original + after` to the topic again, with the headers that are kept and two more: the place
that it first stood at, so that it counts as what it would have been there, and how often it has been replayed.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Self
from uuid import UUID

import msgspec

from shared.ids import derived_id, message_id

UNREADABLE_HEADER = "tandem-unreadable"  # of an empty record that stands for one which cannot be read; with the reason
PLACE_HEADER = "tandem-place"
ATTEMPT_HEADER = "tandem-replay"

MAX_ORIGINAL_BYTES = 2_000_000  # base64 makes it a third longer, and the log takes 4 MiB
MAX_FRAME_BYTES = 8_000
MAX_MESSAGE_CHARACTERS = 2_000
MAX_HEADERS = 50
MAX_ATTEMPTS = 999_999
MAX_HEADER_CHARACTERS = 4_000

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})(?:/(\d{1,9}))?", re.ASCII)
_ATTEMPT = re.compile(r"\d{1,6}", re.ASCII)
_TELLING = ("tandem-", "ce_", "content-type", "traceparent")  # headers by which a record is read; kept before others


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where something first stood in the log; `item` is its index within the record, None the record itself."""

    topic: str
    partition: int
    offset: int
    item: int | None = None

    def __str__(self) -> str:
        place = f"{self.topic}/{self.partition}/{self.offset}"
        return place if self.item is None else f"{place}/{self.item}"

    def at(self, item: int | None) -> Self:
        """Return the place of an item of the record, which may itself be an item that is replayed alone."""
        return self if item is None else msgspec.structs.replace(self, item=(self.item or 0) + item)

    def rejection_id(self) -> UUID:
        """Return the identity of the rejection of what stood here, however often it is read or replayed."""
        if self.item is None:
            return derived_id("rejected", self.topic, self.partition, self.offset)
        return message_id(self.topic, self.partition, self.offset, self.item)


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
    source: str = ""
    before: bytes = b""  # what makes the item a record of its own again: stands before it, and after it
    after: bytes = b""
    incomplete: bool = False  # too large to be kept whole, or sent without consent; it cannot be replayed
    attempt: int = 0  # which replay it came back from; 0 is the first reading

    def place(self) -> Place:
        """Return where it first stood."""
        return Place(self.topic, self.partition, self.offset, self.item)


encode_rejected = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Rejected)


def decode_rejected(value: bytes) -> Rejected:
    """Read one record of `events.rejected`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)


def read_place(stated: str | None) -> Place | None:
    """Read the header `tandem-place` of a replayed record; None where there is none, or none that is ours."""
    found = _PLACE.fullmatch(stated) if stated else None
    if found is None:
        return None
    topic, partition, offset, item = found.groups()
    return Place(topic, int(partition), int(offset), None if item is None else int(item))


def read_attempt(stated: str | None) -> int:
    """Read the header `tandem-replay`; 0 where there is none, or none that is ours."""
    return int(stated) if stated and _ATTEMPT.fullmatch(stated) else 0


def reject(
    place: Place,
    *,
    reason: str,
    message: str,
    at: datetime,
    original: bytes,
    headers: Iterable[tuple[str, str]],
    frame: tuple[bytes, bytes] = (b"", b""),
    source: str = "",
    attempt: int = 0,
) -> Rejected:
    """Return what is kept of the thing at the place, of bounded size."""
    before, after = frame
    incomplete = False
    if len(original) > MAX_ORIGINAL_BYTES:
        note = (
            f" These are the first {MAX_ORIGINAL_BYTES} of {len(original)} bytes;"
            f" all are at {place.topic}/{place.partition}@{place.offset} until the topic's retention ends."
        )
        message = message[: MAX_MESSAGE_CHARACTERS - len(note)] + note
        original = original[:MAX_ORIGINAL_BYTES]
        incomplete = True
    if len(before) + len(after) > MAX_FRAME_BYTES:
        before = after = b""
        incomplete = True
    kept: dict[str, str] = {}
    for name, value in sorted(headers, key=lambda header: not header[0].lower().startswith(_TELLING)):
        if len(kept) < MAX_HEADERS and len(name) <= MAX_HEADER_CHARACTERS >= len(value):
            kept[name] = value
        elif name.lower().startswith(_TELLING):
            incomplete = True
    return Rejected(
        id=place.rejection_id(),
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        reason=reason,
        message=message[:MAX_MESSAGE_CHARACTERS],
        at=at,
        original=original,
        headers=kept,
        item=place.item,
        source=source,
        before=before,
        after=after,
        incomplete=incomplete,
        attempt=attempt,
    )


def rejected_by(
    headers: Iterable[tuple[str, bytes]],
    stood_at: Place,
    *,
    reason: str,
    message: str,
    at: datetime,
    original: bytes,
    item: int | None = None,
    frame: tuple[bytes, bytes] = (b"", b""),
) -> Rejected:
    """Return what is kept of a record that one of Tandem's own services wrote, replayed before or not."""
    texts = {name: value.decode("utf-8", "replace") for name, value in headers}
    return reject(
        (read_place(texts.get(PLACE_HEADER)) or stood_at).at(item),
        reason=reason,
        message=message,
        at=at,
        original=original,
        headers=texts.items(),
        frame=frame,
        attempt=read_attempt(texts.get(ATTEMPT_HEADER)),
    )
