"""What speaks for a machine, and what does not."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from crawlerdetect import CrawlerDetect
from crawlerdetect.providers.crawlers import data as known_crawlers
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.crawlers import is_crawler
from services.ingest.domain.event import Event
from services.ingest.domain.identity import Person
from services.ingest.domain.suspicion import MAX_AGENT_CHARACTERS, Sign, Watch
from services.ingest.domain.understanding import touch_of
from services.ingest.intake.record import origin_of
from shared.events.touch import Alias
from shared.ids import contact_id
from tests.unit.ingest.reading import RECEIVED_AT, read_one

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
IMAGE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"

AGENTS: list[tuple[str, bool]] = [
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
    ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", True),
    (CHROME.replace("Chrome", "HeadlessChrome"), True),
    ("curl/8.5.0", True),
    ("python-requests/2.34.2", True),
    ("Mozilla/5.0", True),
    (" mozilla/4.0 ", True),
    (IMAGE_PROXY, True),
    ("", False),
    ("   ", False),
    (CHROME, False),
    (CHROME + " Edg/120.0.0.0", False),
    # The make of a telephone, which ends in three letters that mean something else.
    (
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/83 Safari/537.36",
        False,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        False,
    ),
]


def event(kind: str = "page", name: str = "", *, agent: str = "", **properties: Any) -> Event:
    return read_one(
        {"type": kind, "event": name, "userId": "u", "context": {"userAgent": agent}, "properties": properties}
    )


@pytest.mark.parametrize(("agent", "is_machine"), AGENTS)
def test_user_agents(agent: str, *, is_machine: bool) -> None:
    """Machines that say who they are are told from people; an agent that is not there says nothing."""
    expected = Sign.BOT_USER_AGENT if is_machine else None

    assert Watch().sign_of(event(agent=agent)) is expected
    assert Watch().sign_of(event("track", "Email Link Clicked", agent=agent)) is expected


def test_every_mark_that_the_library_knows() -> None:
    """The verdict is the library's, for each of its marks, alone, in capitals, cut, and within a browser's agent."""
    library = CrawlerDetect()
    for pattern in known_crawlers:
        mark = re.sub(r"\\(\W)", r"\1", pattern)
        for agent in (mark, mark.upper(), mark[:-1], f"{CHROME} {mark}", f"x{mark}y"):
            assert is_crawler(agent) is library.is_crawler(agent), agent


def test_pictures_fetched_for_a_reader() -> None:
    """Gmail and Yahoo load them when the person opens the mail: such an open is as good as another."""
    for agent in (IMAGE_PROXY, "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"):
        assert Watch().sign_of(event("track", "Email Opened", agent=agent)) is None
        assert Watch().sign_of(event("track", "Email Link Clicked", agent=agent)) is Sign.BOT_USER_AGENT


def test_the_agent_of_the_connection() -> None:
    """It is the SDK's, and never asked."""
    told = read_one({"type": "page", "userId": "u", "context": {"library": {"name": "curl"}, "userAgent": CHROME}})

    assert Watch().sign_of(told) is None


def test_agents_that_an_install_knows() -> None:
    """Globs, whatever the case; the others are not touched by them."""
    watch = Watch(user_agents=["*BarracudaCentral*", "acme-monitor/?"])

    assert watch.sign_of(event(agent="Fake barracudacentral 1")) is Sign.BOT_USER_AGENT
    assert watch.sign_of(event(agent="Acme-Monitor/2")) is Sign.BOT_USER_AGENT
    assert watch.sign_of(event(agent="acme-monitor/22")) is None
    assert watch.sign_of(event(agent=CHROME)) is None


@pytest.mark.parametrize(
    ("value", "is_machine"),
    [(True, True), ("true", True), (1, True), (False, False), ("false", False), (None, False), ({"a": 1}, False)],
)
def test_opens_that_the_provider_flags(value: object, *, is_machine: bool) -> None:
    """A prefetched open is a machine's; the flag means nothing on a click."""
    assert Watch().sign_of(event("track", "Email Opened", prefetched=value)) is (
        Sign.PREFETCHED if is_machine else None
    )
    assert Watch().sign_of(event("track", "Email Link Clicked", prefetched=value)) is None


@pytest.mark.parametrize(
    ("told", "is_machine"),
    [
        (event(path="/trap"), True),
        (event(path="/trapped"), False),
        (event(path="/Trap/a/b"), True),
        (event(url="https://acme.example/tr%61p?x=1#y"), True),
        (event(url="https://acme.example/?next=/trap"), False),
        (event("track", "Email Link Clicked", link_url="https://acme.example/trap/1"), True),
        (event("track", "Form Submitted", link_url="https://acme.example/trap/1"), False),
        (event(url="http://[x/trap"), False),
        (event(path=5), False),
        (read_one({"type": "page", "userId": "u", "context": {"page": {"path": "/trap"}}}), True),
        (read_one({"type": "identify", "userId": "u", "context": {"page": {"path": "/trap"}}}), False),
    ],
)
def test_honeypots(told: Event, *, is_machine: bool) -> None:
    """A link that no person sees gives away who follows it, by its path however that is written."""
    watch = Watch(honeypot_paths=["/trap", "/trap/*"])

    assert watch.sign_of(told) is (Sign.HONEYPOT if is_machine else None)
    assert Watch().sign_of(told) is None


def test_a_touch_of_a_machine() -> None:
    """It is kept whole, with the reason; an opt-out is an opt-out whoever asked for it."""
    person = Person(contact_id("user", "u"), (Alias("user", "u"),))
    origin = origin_of({}, topic="events.web", partition=0, offset=0, appended_at=RECEIVED_AT, now=RECEIVED_AT)
    told = event("track", "Unsubscribed", agent="curl/8")
    touch = touch_of(told, origin, person, sign=Watch().sign_of(told))

    assert touch.suspect == "bot_user_agent"
    assert touch.aliases == person.aliases
    assert touch.opted_out is True
    assert touch_of(told, origin, person).suspect == ""


@given(
    st.text(max_size=2000)
    | st.builds(lambda part, times: part * times, st.text(min_size=1, max_size=20), st.integers(1, 5000))
)
def test_any_agent(agent: str) -> None:
    """Whatever it is and however long, there is a verdict, and it rests on the beginning."""
    watch = Watch(user_agents=["*a*b*c*d*e*"])
    told = msgspec.structs.replace(event(), user_agent=agent)
    cut = msgspec.structs.replace(told, user_agent=agent[:MAX_AGENT_CHARACTERS])

    assert watch.sign_of(told) is watch.sign_of(cut)


def test_signs_in_the_document() -> None:
    """The page lists each sign with its meaning, and no other."""
    page = (Path(__file__).resolve().parents[3] / "docs/bots.md").read_text().partition("## Haste")[0]
    listed = re.findall(r"^\| `(\w+)` \| (.*?) \|$", page, flags=re.MULTILINE)

    assert listed == [(str(sign), sign.meaning) for sign in Sign]
