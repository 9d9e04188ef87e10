"""Whether a webhook comes from the CRM: everything is compared in constant time, on the raw bytes."""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from services.router.domain.crm_mapping import Proof
from services.router.errors import CrmNotVerified

WINDOW = timedelta(minutes=5)  # HubSpot tells receivers to refuse what was signed longer ago


class CrmRequest(msgspec.Struct, frozen=True):
    """A request as far as proofs go."""

    method: str
    urls: tuple[str, ...]  # as the CRM may have written it: a proxy before us hides which
    headers: Mapping[str, str]  # names in lower case
    tokens: tuple[str, ...]  # what may be the secret itself
    body: bytes


def verify(proof: Proof, request: CrmRequest, secret: str, *, now: datetime) -> None:
    """Raise CrmNotVerified unless the secret was used."""
    match proof.kind:
        case "token":
            _one_of(request.tokens, [secret.encode()], "Send the secret: as ?key=, X-Webhook-Secret, Bearer or Basic.")
        case "hmac":
            digest = hmac.digest(secret.encode(), request.body, "sha256")
            signature = digest.hex() if proof.encoding == "hex" else b64encode(digest).decode()
            given = request.headers.get(proof.header.lower(), "").strip()
            _one_of(
                [given], [f"{proof.prefix}{signature}".encode()], f"The signature in {proof.header} does not match."
            )
        case "hubspot":
            _hubspot(request, secret, now=now)


def _hubspot(request: CrmRequest, secret: str, *, now: datetime) -> None:
    stamp = request.headers.get("x-hubspot-request-timestamp", "")
    try:
        signed_at = datetime.fromtimestamp(int(stamp) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise CrmNotVerified("The request has no X-HubSpot-Request-Timestamp.") from None
    if not now - WINDOW <= signed_at <= now + WINDOW:
        raise CrmNotVerified("It was signed more than five minutes ago or ahead of now.")
    expected = [
        b64encode(
            hmac.digest(
                secret.encode(),
                b"".join((request.method.encode(), url.encode(), request.body, stamp.encode())),
                "sha256",
            )
        )
        for url in request.urls
    ]
    _one_of([request.headers.get("x-hubspot-signature-v3", "")], expected, "X-HubSpot-Signature-v3 does not match.")


def _one_of(given: Iterable[str], expected: Iterable[bytes], message: str) -> None:
    found = False
    known = list(expected)
    for one in given:
        for other in known:
            found |= hmac.compare_digest(one.encode(), other)
    if not found:
        raise CrmNotVerified(message)
