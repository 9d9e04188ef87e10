r"""JSON as it comes: decoded without trust, with the one fault repaired that is nobody's fault.

JavaScript cuts texts in the middle of an emoji and escapes the half that is left (`\ud83d`), which is no character.
Such a half becomes U+FFFD, so that neither the event nor its batch is lost over it.
"""

import re
from typing import Any, TypeVar

import msgspec

from services.ingest.domain.rejection import Reason, Refused

MAX_DEPTH = 32  # objects and lists within one another

T = TypeVar("T")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# A half without its other half, or what looks like one: only the sequence of all escapes can tell.
_MAYBE_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_ESCAPE = re.compile(
    rb"\\(?:u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|u(?P<half>[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def decode(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    """Decode an object. Raises Refused, and nothing else whatever the bytes are."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        message = str(error)
        if " - at `$" in message or message.startswith("Object missing"):
            raise Refused(Reason.WRONG_TYPE, f"{message}.") from None
        raise Refused(Reason.NOT_AN_OBJECT, f"{message}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(Reason.INVALID_JSON, f"{error}.") from None
    except RecursionError:
        raise Refused(Reason.TOO_DEEP, f"Nest objects and lists at most {MAX_DEPTH} deep.") from None


def repaired(body: bytes) -> bytes:
    """Return the body without a byte order mark and with every half of a character replaced."""
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if b"\\" not in body:  # one byte is looked for many times faster than two
        return body
    if (b"\\ud" not in body and b"\\uD" not in body) or _MAYBE_HALF.search(body) is None:
        return body
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], body)


def check_size(size_bytes: int, max_bytes: int) -> None:
    """Raise Refused for an event of more than `max_bytes`."""
    if size_bytes > max_bytes:
        raise Refused(
            Reason.EVENT_TOO_LARGE,
            f"The event has {size_bytes} bytes, its batch's context included; send at most {max_bytes}.",
        )


def check(raw: bytes) -> None:
    """Raise Refused when decoding the bytes gives what the services behind cannot keep: NUL, or a bottomless pit."""
    # Looking for one byte takes no time, counting and looking for several does; most events have neither.
    suspect = b"\\" in raw and b"\\u0000" in raw
    if not suspect and raw.count(b"{") + (raw.count(b"[") if b"[" in raw else 0) <= MAX_DEPTH:
        return
    level: list[Any] = [decode(_Anything, raw)]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            match value:
                case dict():
                    below += value.values()
                    suspicious = any("\0" in key for key in value)
                case list():
                    below += value
                    suspicious = False
                case str():
                    suspicious = "\0" in value
                case _:
                    suspicious = False
            if suspicious:
                raise Refused(Reason.NUL_CHARACTER, "Send texts without the character NUL (\\u0000).")
        if not below:
            return
        level = below
    raise Refused(Reason.TOO_DEEP, f"Nest objects and lists at most {MAX_DEPTH} deep.")


_Anything: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)
