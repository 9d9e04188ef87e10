"""Headers that an endpoint asks for: which names are free, and what a value may be."""

import re

MOST = 20
LONGEST_VALUE = 4096

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")

# Ours, those of the connection, and those by which somebody in between could be made to do something.
_RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
    }
)
_RESERVED_BEGINNINGS = ("webhook-", "svix-", "proxy-", "sec-", "x-forwarded-", "x-amz-", "x-goog-", "x-real-ip")


def name_mistake(name: str) -> str | None:
    """Return what is wrong with the name of a header, or None."""
    if not _TOKEN.fullmatch(name):
        return f"expected the name of a header, not {name!r}"
    lower = name.lower()
    if lower in _RESERVED or lower.startswith(_RESERVED_BEGINNINGS):
        return f"{name} is Tandem's own; expected another name"
    return None


def value_mistake(value: str) -> str | None:
    """Return what is wrong with the value of a header, or None."""
    if len(value) > LONGEST_VALUE:
        return f"expected at most {LONGEST_VALUE} characters"
    if not value.isascii() or not value.isprintable() or value != value.strip():
        return "expected printable ASCII on one line, without space around it"
    return None
