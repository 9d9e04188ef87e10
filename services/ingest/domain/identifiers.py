"""Identifiers as sources send them, and what they are worth as names of a contact."""

import re
import unicodedata
from functools import lru_cache
from typing import Any

import idna
import msgspec

from shared.events.touch import Alias

MAX_CHARACTERS = 256  # longer ones name nobody; an index entry of PostgreSQL would not hold them
MAX_EMAIL_CHARACTERS = 254  # RFC 5321

# What SDKs, tag managers and forms send when they know nobody; compared in lower case, without quotes.
# Besides: whatever is made of zeros and hyphens only.
PLACEHOLDERS = frozenset(
    {
        "",
        "-1",
        "[object object]",
        "anonymous",
        "anonymousid",
        "anonymous_id",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "n/a",
        "nan",
        "nil",
        "none",
        "not_authenticated",
        "null",
        "true",
        "undefined",
        "unknown",
        "user_id",
        "userid",
    }
)

_LOCAL_PART = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f\x7f]+")
_PLAIN_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


class Names(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an event calls its contact; "" where it says nothing of use."""

    user: str = ""
    email: str = ""
    anonymous: str = ""
    other: str = ""  # one more anonymous id, as weak as the first
    previous: str = ""  # of an alias call: the name that the contact had before
    aliases: tuple[Alias, ...] = ()  # of all but `previous`, the strongest first; made here, not given

    def __post_init__(self) -> None:
        """Make the aliases once: every step needs them."""
        aliases: tuple[Alias, ...] = (Alias("user", self.user),) if self.user else ()
        if self.email:
            aliases += (Alias("email", self.email),)
        if self.anonymous:
            aliases += (Alias("anonymous", self.anonymous),)
        if self.other and self.other != self.anonymous:
            aliases += (Alias("anonymous", self.other),)
        msgspec.structs.force_setattr(self, "aliases", aliases)


def read_identifier(value: Any, *, besides: frozenset[str] = frozenset()) -> str:
    """Return a user or anonymous id as text, or "" when it names nobody. Numbers become text.

    `besides` are placeholders of this install, in lower case.
    """
    match value:
        case str():
            text = value.strip()
        case bool() | None:
            return ""
        case int():
            text = str(value)
        case float():
            text = str(int(value)) if value.is_integer() else repr(value)
        case _:
            return ""
    plain = text.strip("\"'").strip().lower()
    if len(text) > MAX_CHARACTERS or plain in PLACEHOLDERS or plain in besides or not text.strip("0-"):
        return ""
    return text


def read_email(value: Any) -> str:
    """Return an address in the one form that Tandem compares, or "" when it is none.

    Lower case, NFKC, domain in its ASCII form; what follows a plus stays: ` Ada+News@Acme.Example ` is
    `ada+news@acme.example`.
    """
    if not isinstance(value, str) or "@" not in value:
        return ""
    text = value.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).strip()
    local, _, domain = text.lower().rpartition("@")
    domain = _ascii_domain(domain)
    if not domain or not _LOCAL_PART.fullmatch(local):
        return ""
    email = f"{local}@{domain}"
    return email if len(email) <= MAX_EMAIL_CHARACTERS else ""


@lru_cache(maxsize=10_000)
def _ascii_domain(domain: str) -> str:
    domain = domain.removesuffix(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError:
            return ""
    return domain if _PLAIN_DOMAIN.fullmatch(domain) else ""
