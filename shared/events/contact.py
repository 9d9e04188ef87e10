"""What happened to contacts as a whole. Key = the contact that stops being one of its own.

Ingest tells of merges and of merges undone, the scorer of erasures; each service heeds what others tell.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.events.touch import Alias


class ContactsMerged(msgspec.Struct, frozen=True, kw_only=True, tag="contacts.merged", tag_field="type"):
    """Two contacts are one person: `other` lives on as `survivor`, with all it did."""

    id: UUID  # of the merge
    survivor: UUID
    other: UUID
    aliases: tuple[Alias, ...]  # those that named `other` until then
    at: datetime  # `received_at` of the event that showed it


class ContactsUnmerged(msgspec.Struct, frozen=True, kw_only=True, tag="contacts.unmerged", tag_field="type"):
    """The merge was a mistake: `other` is a contact of its own again, with what it did under its aliases."""

    id: UUID  # of the merge
    survivor: UUID
    other: UUID
    aliases: tuple[Alias, ...]  # those that name `other` again
    at: datetime


class ContactErased(msgspec.Struct, frozen=True, kw_only=True, tag="contact.erased", tag_field="type"):
    """The person is to be forgotten: `contact_ids` are the contact and all that were merged into it."""

    id: UUID
    contact_ids: tuple[UUID, ...]
    at: datetime


ContactMessage = ContactsMerged | ContactsUnmerged | ContactErased

encode_contact = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[ContactMessage] = msgspec.json.Decoder(ContactMessage)


def decode_contact(value: bytes) -> ContactMessage:
    """Read one record of `contacts`. Raises msgspec.DecodeError or msgspec.ValidationError."""
    return _decoder.decode(value)
