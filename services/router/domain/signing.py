"""Signatures of Standard Webhooks: the secrets, and what they make of a message.

`v1` is HMAC-SHA256 under a secret that both sides know. `v1a` is ed25519: the receiver needs only the public key, and
whoever steals it from the receiver can sign nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

from services.router.domain.endpoint import Retired, Signature

SECRET_BYTES = 32

_SHARED = "whsec_"
_PRIVATE = "whsk_"
_PUBLIC = "whpk_"
_KEY_BYTES = 32  # of each half of an ed25519 key


def write_secret(random: bytes, signature: Signature = Signature.V1) -> str:
    """Write random bytes as a secret of that kind."""
    assert len(random) == SECRET_BYTES, f"a secret takes {SECRET_BYTES} bytes"
    match signature:
        case Signature.V1:
            return f"{_SHARED}{base64.b64encode(random).decode()}"
        case Signature.V1A:
            return f"{_PRIVATE}{base64.b64encode(random + _public_bytes(random)).decode()}"
        case _:
            assert_never(signature)


def kind_of(secret: str) -> Signature:
    """Return how this secret signs."""
    return Signature.V1A if secret.startswith(_PRIVATE) else Signature.V1


def secret_mistake(secret: str, signature: Signature) -> str | None:
    """Return what a secret of that kind should have been, or None when it is one."""
    try:
        decoded = base64.b64decode(secret.removeprefix(_SHARED).removeprefix(_PRIVATE), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    match signature:
        case Signature.V1:
            if secret.startswith(_SHARED) and 24 <= len(decoded) <= 64:
                return None
            return "expected whsec_ and 24 to 64 bytes in base64; leave it out to be given one"
        case Signature.V1A:
            if (
                secret.startswith(_PRIVATE)
                and len(decoded) == 2 * _KEY_BYTES
                and _public_bytes(decoded[:_KEY_BYTES]) == decoded[_KEY_BYTES:]
            ):
                return None
            return "expected whsk_ and 64 bytes in base64, an ed25519 seed and its public key; leave it out to be given"
        case _:
            assert_never(signature)


def public_key(secret: str) -> str | None:
    """Return what the receiver verifies with, if that is not the secret itself."""
    if kind_of(secret) is Signature.V1:
        return None
    return f"{_PUBLIC}{base64.b64encode(_seed(secret, 2)[_KEY_BYTES:]).decode()}"


def sign(secret: str, *, message_id: str, at: datetime, body: bytes) -> str:
    """Return one signature. Raises ValueError for a secret that is not base64."""
    match kind_of(secret):
        case Signature.V1:
            return Webhook(secret).sign(message_id, at, body.decode())
        case Signature.V1A:
            signed = b"%s.%d." % (message_id.encode(), int(at.timestamp())) + body
            key = Ed25519PrivateKey.from_private_bytes(_seed(secret, 1))
            return f"v1a,{base64.b64encode(key.sign(signed)).decode()}"


def signatures(secret: str, retired: Sequence[Retired], *, message_id: str, at: datetime, body: bytes) -> str:
    """Return the signatures under the secret and under those that it is replacing, the newest first."""
    secrets = [secret, *(old.secret for old in retired if old.until > at)]
    return " ".join(sign(item, message_id=message_id, at=at, body=body) for item in secrets)


def _seed(secret: str, halves: int) -> bytes:
    return base64.b64decode(secret.removeprefix(_PRIVATE))[: halves * _KEY_BYTES]


def _public_bytes(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
