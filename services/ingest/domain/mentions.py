"""Who is named in something that nobody understood: what is set aside about an erased person is not kept.

An address counts wherever it stands, an id only as a whole text of JSON, a value of a form or of a header: a short one
is part of many words. Every step takes time that grows with the length alone, whatever somebody has made up.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import unquote_plus
from uuid import UUID

import msgspec

from services.ingest.domain.identifiers import MAX_CHARACTERS, read_email, read_identifier
from shared.events.rejected import Rejected
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import ContactId

_MOST_ESCAPED = 6 * MAX_CHARACTERS  # each character as \uXXXX
_BETWEEN_ADDRESSES = re.compile(r"[\s<>\"(),:;\\\[\]\x00-\x1f\x7f]+")
_BEFORE_ADDRESS = re.compile(r"[=&?/'{}|]")
_DOMAIN = re.compile(r"[\w.-]{1,253}")
_BETWEEN_FIELDS = re.compile(r"[&=]")
_NUMBER_AS_ID = re.compile(
    r'"(?:user|anonymous|previous|distinct|customer)_?id"\s{0,9}:\s{0,9}(\d{1,40})', re.IGNORECASE
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def aliases_in(rejected: Rejected) -> set[Alias]:
    """Return the aliases that something in the rejection may be."""
    found: set[Alias] = set()
    for text in _texts(rejected):
        found.update(Alias("email", address) for address in _addresses(text))
        for name in _names(text):
            if identifier := read_identifier(name):
                found |= {Alias("user", identifier), Alias("anonymous", identifier)}
    return found


def contacts_in(rejected: Rejected) -> set[ContactId]:
    """Return the contacts that the rejection may be about; none of a message that tells which contact is to go."""
    if rejected.topic == TopicName.CONTACTS:
        return set()
    return {ContactId(UUID(each)) for text in _texts(rejected) for each in _UUID.findall(text)}


def _texts(rejected: Rejected) -> Iterator[str]:
    """Yield the texts to look at, those of forms as they are read, too."""
    for text in (
        (rejected.before + rejected.original + rejected.after).decode("utf-8", "replace"),
        rejected.message,
        *rejected.headers.values(),
    ):
        yield text
        if "%" in text or "+" in text:
            yield unquote_plus(text, errors="replace")


def _addresses(text: str) -> Iterator[str]:
    text = text.replace("\\u0040", "@")  # as some encoders write it
    if "@" not in text:
        return
    for word in _BETWEEN_ADDRESSES.split(text):
        parts = word.split("@")
        for before, behind in pairwise(parts):
            domain = _DOMAIN.match(behind)
            if domain is None:
                continue
            for local in {before, _BEFORE_ADDRESS.split(before)[-1]}:
                if address := read_email(f"{local}@{domain[0].rstrip('.-')}"):
                    yield address


def _names(text: str) -> Iterator[str]:
    for piece in text.split('"'):
        yield _json_text(piece) if "\\" in piece else piece
    if "=" in text:
        yield from _BETWEEN_FIELDS.split(text)
    yield from _NUMBER_AS_ID.findall(text)


def _json_text(piece: str) -> str:
    if len(piece) > _MOST_ESCAPED:
        return ""
    try:
        return msgspec.json.decode(f'"{piece}"', type=str)
    except (ValueError, RecursionError):
        return ""
