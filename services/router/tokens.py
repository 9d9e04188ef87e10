"""Tokens by OAuth2 client credentials: kept while they are good, asked for by one attempt while the others wait.

The token endpoint is called as receivers are: only at vetted addresses, within the deadline, without redirects.
"""

import asyncio
import base64
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import quote_plus, urlencode

import msgspec

from services.router.domain.destination import Target
from services.router.domain.endpoint import OAuth2
from services.router.domain.outcome import Outcome, Reply
from services.router.sender import Sender

_EARLY = 30.0  # seconds before its end a token is not used any more
_DEFAULT_LIFE = 300.0  # seconds, where the answer does not say
_LONGEST_TOKEN = 8000  # characters; the answer is read no further than its beginning


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | str | None = None


@dataclass(slots=True)
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    revision: int = -1
    token: str = ""
    until: float = 0.0


class Tokens:
    """The tokens of all endpoints."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._kept: dict[str, _Kept] = {}

    async def token(self, target: Target, *, refused: str = "") -> str | Reply:
        """Return a token, other than the one that was refused, or the reply of an attempt that could not get one."""
        assert target.oauth2 is not None, "only targets with client credentials have tokens"
        kept = self._kept.setdefault(target.name, _Kept())
        async with kept.lock:
            good = kept.token and kept.revision == target.revision and monotonic() < kept.until
            if good and kept.token != refused:
                return kept.token
            reply = await self._ask(target.name, target.oauth2)
            granted = _read(reply)
            if isinstance(granted, Reply):
                kept.token = ""
                return granted
            kept.token, life = granted
            kept.revision, kept.until = target.revision, monotonic() + max(life - _EARLY, life / 2)
            return kept.token

    async def _ask(self, endpoint: str, oauth2: OAuth2) -> Reply:
        wanted = {"grant_type": "client_credentials"}
        wanted |= {name: value for name in ("scope", "audience") if (value := getattr(oauth2, name))}
        pair = f"{quote_plus(oauth2.client_id)}:{quote_plus(oauth2.client_secret or '')}"
        return await self._sender.send(
            f"{endpoint}\0token",  # connections of its own; no endpoint can have this name
            oauth2.token_url,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "accept": "application/json",
                "accept-encoding": "identity",
                "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            },
            body=urlencode(wanted).encode(),
        )


def _read(reply: Reply) -> tuple[str, float] | Reply:
    """Return token and life, or a reply that says why there is none; what the token endpoint said stays unsaid."""
    if reply.outcome is not Outcome.DELIVERED:
        return _refused(reply, reply.error or f"The token endpoint answered {reply.status}.")
    try:
        granted = msgspec.json.decode(reply.excerpt, type=_Granted)
        life = float(granted.expires_in or _DEFAULT_LIFE)
    except (ValueError, msgspec.DecodeError):
        return _refused(reply, "The token endpoint's answer has no access_token.")
    token = granted.access_token
    if not token or len(token) > _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        return _refused(reply, "The token endpoint's access_token cannot be a header.")
    return token, life


def _refused(reply: Reply, said: str) -> Reply:
    outcome = Outcome.THROTTLED if reply.outcome is Outcome.THROTTLED else Outcome.NOT_AUTHORISED
    error = f"No token: {said}"
    return Reply(
        status=None, outcome=outcome, error=error, retry_after=reply.retry_after, peer=reply.peer, phases=reply.phases
    )
