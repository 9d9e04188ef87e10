"""Identities: one type per noun, and the derivations that make a repeat harmless."""

import uuid
from hashlib import sha1
from typing import NewType

# What `UUID.__init__` ends in, past all that it does before.
_new, _slots = object.__new__, vars(uuid.UUID)
_set_number, _set_safety = _slots["int"].__set__, _slots["is_safe"].__set__
_UNKNOWN = uuid.SafeUUID.unknown

ContactId = NewType("ContactId", uuid.UUID)
TouchId = NewType("TouchId", uuid.UUID)
HandoffId = NewType("HandoffId", uuid.UUID)
MessageId = NewType("MessageId", uuid.UUID)

# Fixed for ever: a new value would give every stored touch a second identity.
_NAMESPACE = uuid.UUID("5d0cf6f4-3f4b-5f6e-9d53-6b7b1a0e7a11")

_NAMESPACE_BYTES = _NAMESPACE.bytes

# What RFC 9562 leaves to the hash, and what it fixes: version 5 in the variant of the RFC.
_FREE_BITS = ~(0xF000 << 64 | 0xC000 << 48)
_VERSION_5 = 5 << 76 | 0x8000 << 48


def touch_id(source: str, message_id: str) -> TouchId:
    """Derive the identity of a touch from its source and the sender's message id."""
    return TouchId(_uuid5(f"touch\x1f{source}\x1f{message_id}"))


def contact_id(alias_kind: str, alias_value: str) -> ContactId:
    """Derive the identity of a contact from the alias that it was first seen under."""
    return ContactId(_uuid5(f"contact\x1f{alias_kind}\x1f{alias_value}"))


def message_id(topic: str, partition: int, offset: int, ordinal: int) -> MessageId:
    """Derive the identity of an output from the record that caused it.

    The same record processed twice gives the same identities, so a repeat can be told.
    """
    return MessageId(_uuid5(f"message\x1f{topic}\x1f{partition}\x1f{offset}\x1f{ordinal}"))


def derived_id(*parts: object) -> uuid.UUID:
    """Derive an identity from the values that make the thing unique."""
    return _uuid5("\x1f".join(map(str, parts)))


def _uuid5(name: str) -> uuid.UUID:
    """Return `uuid.uuid5(_NAMESPACE, name)`, in a third of the time: every event needs one."""
    digest = sha1(_NAMESPACE_BYTES + name.encode(), usedforsecurity=False).digest()
    made = _new(uuid.UUID)  # past its constructor, which takes longer than the hash
    _set_number(made, int.from_bytes(digest[:16]) & _FREE_BITS | _VERSION_5)
    _set_safety(made, _UNKNOWN)
    return made
