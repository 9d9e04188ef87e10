"""Bodies that are JSON only after some unwrapping, as PostHog's SDKs send them.

`posthog-js` sends gzip, or a form with base64 in `data`; old pixels send that base64 as `?data=`. Labels are often
missing or wrong, so the bytes tell; only lz64 cannot be told by them, and is refused by its label.
"""

from base64 import b64decode
from urllib.parse import parse_qs

from services.ingest.domain.rejection import Reason, Refused
from services.ingest.intake.body import inflate

_LZ = frozenset({"lz64", "lz-string"})
_BASE64 = str.maketrans("-_ ", "+/+")  # the URL-safe alphabet, and pluses that a form made spaces


def unwrapped(body: bytes, *, compression: str, max_bytes: int) -> bytes:
    """Return the JSON in the body. Raises Refused, BodyTooLarge, BodyNotGzip.

    `compression` is what the request says; it is heeded only where it says what is not taken.
    """
    body = body.lstrip()  # and not at its end: one in forty deflated bodies ends with a byte that is a blank
    if _is_form(body):
        try:
            form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
        except ValueError as error:
            raise Refused(Reason.INVALID_JSON, f"The form cannot be read: {error}.") from None
        compression = form.get("compression", [compression])[-1]
        body = form["data"][-1].encode("utf-8", "replace").strip() if "data" in form else b""
    if compression.strip().lower() in _LZ:
        raise Refused(Reason.INVALID_JSON, "lz64 is not taken: let the SDK send gzip, base64 or plain JSON.")
    if body[:1] in {b"{", b"[", b""} or body.startswith(b"\xef\xbb\xbf"):
        return body
    return inflate(_from_base64(body), max_bytes=max_bytes)


def _is_form(body: bytes) -> bool:
    return body.startswith((b"data=", b"compression=", b"ver=", b"ip=", b"_="))


def _from_base64(body: bytes) -> bytes:
    """Return what the body is in base64, or the body itself where it is none: then it is no JSON, and told so."""
    try:
        text = body.decode("ascii").rstrip().translate(_BASE64).rstrip("=")
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return body
