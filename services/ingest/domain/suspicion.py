"""What speaks for a machine, from one event alone.

Nothing is dropped over it: the touch is kept and says why it is suspect, who it names is still linked, and an opt-out
is still heeded. Verdicts that need other events besides are the scorer's.
"""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from services.ingest.domain.coded import Coded
from services.ingest.domain.crawlers import is_crawler
from services.ingest.domain.event import Event
from services.ingest.domain.scalars import says_yes
from shared.events.touch import ACTIONS, TouchType
from shared.events.vocabulary import EMAIL_LINK_CLICKED, EMAIL_OPENED

MAX_AGENT_CHARACTERS = 512  # beyond, a user agent tells nothing more, and anybody can send a long one
REMEMBERED_AGENTS = 20_000  # an agent met for the first time takes a hundred times as long as one that is known

# No browser calls itself by this alone; link scanners do.
_BARE = re.compile(r"mozilla/\d\.\d", re.IGNORECASE)
# They fetch pictures when the person opens the mail, on the person's behalf: such an open is as good as another.
_MAIL_PROXIES = ("googleimageproxy", "yahoomailproxy")
_OPENED = EMAIL_OPENED.lower()
_CLICKED = EMAIL_LINK_CLICKED.lower()


class Sign(Coded):
    """Why a machine may have done it; the code is what a touch says as `suspect`."""

    HONEYPOT = "honeypot", "It followed a link that no person sees (`TANDEM_HONEYPOT_PATHS`)."
    PREFETCHED = "prefetched", "The mail provider says that a machine loaded the pictures of the mail."
    BOT_USER_AGENT = "bot_user_agent", "The user agent is that of a crawler, a script or a link scanner."


class Watch:
    """What an install watches for besides what is known everywhere: globs of paths and of user agents."""

    def __init__(self, *, honeypot_paths: Iterable[str] = (), user_agents: Iterable[str] = ()) -> None:
        self._honeypots = _any_of(honeypot_paths)
        self._agents = _any_of(user_agents)
        self._agent_sign = lru_cache(maxsize=REMEMBERED_AGENTS)(self._judge_agent)

    def sign_of(self, event: Event) -> Sign | None:
        """Return what speaks for a machine, the surest sign first; None: nothing does."""
        if event.type not in ACTIONS:
            return None
        name = event.name.strip().lower() if event.type is TouchType.TRACK else ""
        if self._honeypots is not None and self._is_honeypot(event, name):
            return Sign.HONEYPOT
        if name == _OPENED and says_yes(event.properties.get("prefetched")):
            return Sign.PREFETCHED
        if event.user_agent and self._agent_sign(event.user_agent[:MAX_AGENT_CHARACTERS], opened=name == _OPENED):
            return Sign.BOT_USER_AGENT
        return None

    def _is_honeypot(self, event: Event, name: str) -> bool:
        assert self._honeypots is not None
        candidates = [event.properties.get("path"), event.properties.get("url")]
        candidates += [event.page.get("path"), event.page.get("url")]
        if name == _CLICKED:
            candidates.append(event.properties.get("link_url"))
        return any(
            self._honeypots.fullmatch(path) for value in candidates if isinstance(value, str) and (path := _path(value))
        )

    def _judge_agent(self, agent: str, *, opened: bool) -> bool:
        lowered = agent.strip().lower()
        if self._agents is not None and self._agents.fullmatch(lowered):
            return True
        if not lowered or (opened and any(proxy in lowered for proxy in _MAIL_PROXIES)):
            return False  # without an agent nothing is known: most servers send none
        return _BARE.fullmatch(lowered) is not None or is_crawler(agent)


def _any_of(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [translate(glob.strip().lower()) for glob in globs if glob.strip()]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _path(value: str) -> str:
    try:
        return unquote(urlsplit(value).path).lower()
    except ValueError:
        return ""
