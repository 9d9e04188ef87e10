"""Signatures that libraries of others verify, and the secrets under them."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.endpoint import Retired, Signature
from services.router.domain.signing import kind_of, public_key, secret_mistake, sign, signatures, write_secret
from services.router.domain.webhook import Message
from tests.support.signed import signed_headers

BODY = b'{"test": 2432232314}'
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"


def verify_v1a(public: str, signature: str, *, message_id: str, at: int, body: bytes) -> None:
    """Verify as a receiver does that has nothing but the public key. Raises InvalidSignature."""
    version, _, encoded = signature.partition(",")
    assert version == "v1a"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
    key.verify(base64.b64decode(encoded), f"{message_id}.{at}.".encode() + body)


def test_the_vector_of_ed25519() -> None:
    """An ed25519 key signs, seed first, as RFC 8032 says: its first test has this public key."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    secret = write_secret(seed, Signature.V1A)

    public = public_key(secret)

    assert public is not None
    assert base64.b64decode(public.removeprefix("whpk_")).hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
def test_any_message_under_ed25519(body: bytes, random: bytes) -> None:
    """The public key verifies what was signed, and refuses a changed byte."""
    now = datetime.now(UTC)  # the libraries refuse what is minutes old
    secret = write_secret(random, Signature.V1A)
    public, at = public_key(secret), int(now.timestamp())
    assert public is not None
    signature = sign(secret, message_id=ID, at=now, body=body)

    verify_v1a(public, signature, message_id=ID, at=at, body=body)
    with pytest.raises(InvalidSignature):
        verify_v1a(public, signature, message_id=ID, at=at, body=body + b" ")


def test_the_libraries_of_receivers() -> None:
    """The libraries `standardwebhooks` and `svix` take what we sign."""
    now = datetime.now(UTC)  # the libraries refuse what is minutes old
    secret = write_secret(b"\7" * 32)
    headers = signed_headers(Message(id=ID, body=BODY), secret=secret, at=now)

    assert standardwebhooks.Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    svix.webhooks.Webhook(secret).verify(BODY, headers)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(secret).verify(BODY + b" ", headers)


@pytest.mark.parametrize("kind", Signature)
def test_a_secret_that_is_being_replaced(kind: Signature) -> None:
    """While two secrets overlap both sign; then only the new one. Receivers pick the one that they know."""
    now = datetime.now(UTC)  # the libraries refuse what is minutes old
    old, new = write_secret(b"\1" * 32), write_secret(b"\2" * 32, kind)
    retired = [Retired(secret=old, until=now + timedelta(hours=1))]
    both = signatures(new, retired, message_id=ID, at=now, body=BODY)
    later = signatures(new, retired, message_id=ID, at=now + timedelta(hours=1), body=BODY)
    headers = {"webhook-id": ID, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": both}

    assert standardwebhooks.Webhook(old).verify(BODY, headers)
    svix.webhooks.Webhook(old).verify(BODY, headers)
    assert [part.partition(",")[0] for part in both.split()] == [str(kind), "v1"]
    assert len(later.split()) == 1


@pytest.mark.parametrize("kind", Signature)
def test_a_secret_that_we_made(kind: Signature) -> None:
    """What we make is what we take, and it says itself how it signs."""
    secret = write_secret(b"\3" * 32, kind)

    assert secret_mistake(secret, kind) is None
    assert kind_of(secret) is kind
    assert (public_key(secret) is None) == (kind is Signature.V1)


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        ("hunter2", Signature.V1),
        ("whsec_", Signature.V1),
        (f"whsec_{base64.b64encode(b'short').decode()}", Signature.V1),
        (f"whsec_{base64.b64encode(bytes(65)).decode()}", Signature.V1),
        (write_secret(b"\1" * 32), Signature.V1A),
        (write_secret(b"\1" * 32, Signature.V1A), Signature.V1),
        (f"whsk_{base64.b64encode(bytes(64)).decode()}", Signature.V1A),  # another's public key
        ("whsk_not base64", Signature.V1A),
    ],
)
def test_what_is_no_secret(secret: str, kind: Signature) -> None:
    """A secret that would not sign as the endpoint says is refused with what was expected."""
    mistake = secret_mistake(secret, kind)

    assert mistake is not None
    assert mistake.startswith("expected wh")
