"""Links that answer: signed, for one answer of one rep, until they expire or are used.

A link is for the time that a rep has the handoff: once it was given to somebody else, the links of before are void.
What a link opens is a page that asks; nothing changes before its form is sent, since mail scanners open every link.
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.router.domain.handoff import Step
from services.router.errors import LinkExpired, LinkInvalid

PURPOSE = "answer links"  # of the key that signs them, which is derived from TANDEM_SECRET_KEY
LINKS_PATH = "/v1/answers"

_VERSION = 1
_FORM = struct.Struct(">B16sHBQ")  # version, handoff, assignment, step, expiry in seconds since 1970
_DIGEST_BYTES = 32
_LATEST = 253402300799  # the last second that a datetime can tell

# Fixed for ever: they stand in links that were sent.
_CODES: Mapping[Step, int] = {
    Step.ACCEPT: 1,
    Step.REJECT: 2,
    Step.QUALIFY: 3,
    Step.WIN: 4,
    Step.LOSE: 5,
    Step.OBJECTION: 6,
    Step.STORY: 7,
}


@dataclass(frozen=True, slots=True)
class Link:
    """What a link is for. `assignment` counts how often the handoff was given to somebody."""

    handoff_id: UUID
    assignment: int
    step: Step
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AnswerLinks:
    """Makes and reads links. Without a key there are none. The first key signs, all of them count."""

    keys: tuple[bytes, ...] = ()
    public_url: str = ""
    lifetime: timedelta = timedelta(days=30)

    def of(self, handoff_id: UUID, *, assignment: int, at: datetime) -> dict[str, str]:
        """Return a link for each answer, to be sent to who was given the handoff."""
        if not self.keys:
            return {}
        base = f"{self.public_url.rstrip('/')}{LINKS_PATH}"
        expires_at = at + self.lifetime
        return {str(step): f"{base}/{self.token(Link(handoff_id, assignment, step, expires_at))}" for step in _CODES}

    def token(self, link: Link) -> str:
        """Write a link. Its time is kept in whole seconds."""
        expiry = min(int(link.expires_at.timestamp()), _LATEST)
        form = _FORM.pack(_VERSION, link.handoff_id.bytes, link.assignment, _CODES[link.step], expiry)
        return urlsafe_b64encode(form + _sign(self.keys[0], form)).decode().rstrip("=")

    def read(self, token: str, *, now: datetime) -> Link:
        """Read what `token` wrote. Raises LinkInvalid, LinkExpired."""
        try:
            signed = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (Base64Error, ValueError):
            raise LinkInvalid from None
        form, digest = signed[:-_DIGEST_BYTES], signed[-_DIGEST_BYTES:]
        good = False
        for key in self.keys:
            good |= hmac.compare_digest(_sign(key, form), digest)
        if not good or len(form) != _FORM.size:
            raise LinkInvalid
        version, handoff, assignment, code, expiry = _FORM.unpack(form)
        step = next((step for step, number in _CODES.items() if number == code), None)
        if version != _VERSION or step is None:
            raise LinkInvalid
        link = Link(UUID(bytes=handoff), assignment, step, datetime.fromtimestamp(expiry, UTC))
        if link.expires_at <= now:
            raise LinkExpired(link.expires_at)
        return link


NO_LINKS = AnswerLinks()


def _sign(key: bytes, form: bytes) -> bytes:
    return hmac.digest(key, form, "sha256")
