"""What a provider signs, and how far that is a proof. Everything is compared in constant time, on the raw bytes."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

# Clocks differ; a provider's may be ahead of ours by this much.
AHEAD = timedelta(minutes=5)


class NotVerified(Exception):
    """Raised where nothing shows that a request comes from its provider; the message says what is wrong."""


class HookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as far as signatures go."""

    urls: Sequence[str]  # as the provider may have written it: a proxy before us hides which
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    received_at: datetime
    method: str = "POST"

    def header(self, name: str) -> str:
        """Return a header that the signature needs. Raises NotVerified."""
        if value := self.headers.get(name.lower(), "").strip():
            return value
        raise NotVerified(f"The request has no header {name}; turn signing on where the webhook is set up.")


def hmac_hex(secret: str, *parts: bytes) -> bytes:
    """Return HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.encode(), b"".join(parts), hashlib.sha256).hexdigest().encode()


def hmac_base64(secret: str, *parts: bytes, algorithm: str = "sha256") -> bytes:
    """Return an HMAC in base64."""
    return b64encode(hmac.digest(secret.encode(), b"".join(parts), algorithm))


def check_signature(given: str, expected: Iterable[bytes]) -> None:
    """Raise NotVerified unless one of the expected signatures was given."""
    found = False
    for signature in expected:
        found |= hmac.compare_digest(given.encode(), signature)
    if not found:
        raise NotVerified("The signature does not match: the secret is another one, or the body was changed.")


def check_age(stamp: str, *, now: datetime, window: timedelta, milliseconds: bool = False) -> None:
    """Raise NotVerified unless the signed time, since 1970, is within the window before `now`."""
    try:
        number = float(stamp)
        signed_at = datetime.fromtimestamp(number / 1000 if milliseconds else number, UTC)
    except (ValueError, OverflowError, OSError):
        raise NotVerified("The signed time is no time.") from None
    if not now - window <= signed_at <= now + AHEAD:
        raise NotVerified(
            f"It was signed at {signed_at:%Y-%m-%d %H:%M:%S} UTC, more than {window} ago or ahead of now."
        )
