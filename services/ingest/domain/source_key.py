"""The keys of a source over time. Only their hashes are known; a key itself is shown once, to whoever asked for it."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

PREFIX = "wk_"
HINT_CHARACTERS = 7  # of a key, to tell it from the source's others; what is left cannot be guessed


class SourceKey(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a key."""

    digest: bytes
    hint: str
    created_at: datetime
    expires_at: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Tell whether the key still opens."""
        return self.expires_at is None or now < self.expires_at


def digest_of(key: str) -> bytes:
    """Return the hash by which a key is known."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def source_key(key: str, now: datetime) -> SourceKey:
    """Return what to keep of a new key."""
    return SourceKey(digest=digest_of(key), hint=key[:HINT_CHARACTERS], created_at=now)


def rotated(keys: Iterable[SourceKey], new: SourceKey, *, now: datetime, overlap: timedelta) -> tuple[SourceKey, ...]:
    """Return the keys after a rotation: the new one, and the old ones until the overlap ends or they end anyway."""
    end = now + overlap
    old = (
        msgspec.structs.replace(key, expires_at=end if key.expires_at is None else min(key.expires_at, end))
        for key in keys
    )
    return (new, *(key for key in old if key.holds(now)))
