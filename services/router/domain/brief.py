"""The brief: what a rep needs to know before the first conversation, from what the scorer decided on.

Nothing here is computed anew: scores, parts, stage and words are those of the decision.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.router.domain.brief_text import render_brief
from services.router.domain.contact import company_of, email_of, name_of
from services.router.domain.opening import opening_question
from services.router.domain.touch_words import touch_words
from shared.durations import format_duration
from shared.events.explanation import Part, Score
from shared.events.handoff import EngagedPerson, HandoffReady, Promised, TouchSummary, Words
from shared.events.touch import Campaign

MOST_TOUCHES = 8
MOST_WORDS = 10
LONGEST_WORDS = 500  # characters
MOST_PAGES = 10
MOST_OBJECTIONS = 5


@dataclass(frozen=True, slots=True)
class Who:
    """The person."""

    name: str
    email: str
    title: str
    phone: str


@dataclass(frozen=True, slots=True)
class Account:
    """The company that the person belongs to."""

    id: UUID | None
    name: str
    domain: str
    industry: str
    employees: str
    engagement: float | None = None  # of the people together, where that is why it came
    people: tuple[EngagedPerson, ...] = ()  # who they are, the scorer tells: `GET /v1/accounts/{id}`


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that the contact did, in words."""

    at: datetime
    words: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhyNow:
    """Why the handoff came now, and not earlier."""

    summary: str
    touches: tuple[Reason, ...]  # newest first


@dataclass(frozen=True, slots=True)
class Journey:
    """Where the contact is on the buyer's journey, and what that means for the first conversation."""

    name: str
    meaning: str
    first_conversation: str


@dataclass(frozen=True, slots=True)
class Promise:
    """What brought the contact: keep the promise that the campaign made."""

    first_campaign: Campaign | None
    last_campaign: Campaign | None
    made: tuple[Promised, ...] = ()  # by the first campaign and by the last: message, offer, landing page


@dataclass(frozen=True, slots=True)
class Objection:
    """What somebody of the account has held against buying before."""

    at: datetime
    objection: str
    rep: str  # who heard it


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether the contact may be addressed, as far as is known."""

    opted_out: bool
    opted_in_at: datetime | None  # when it took back an opt-out

    @property
    def words(self) -> str:
        """Say it to people."""
        if self.opted_out:
            return "opted out: do not contact them"
        return f"opted in again on {self.opted_in_at:%Y-%m-%d}" if self.opted_in_at else "no opt-out is known"


@dataclass(frozen=True, slots=True)
class Explained:
    """A score, and the parts that add up to it, largest first."""

    score: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class RespondWithin:
    """How soon the agreement wants an answer. `by` is absent when only business hours count."""

    within: str
    within_seconds: int
    hours: str
    by: datetime | None


@dataclass(frozen=True, slots=True)
class Brief:
    """All of it; `text` says the same to people."""

    who: Who
    account: Account
    why_now: WhyNow
    stage: Journey | None
    words: tuple[Words, ...]
    promise: Promise
    read: tuple[str, ...]
    not_read: tuple[str, ...]
    objections: tuple[Objection, ...]
    opening: str  # a question to begin with, never a pitch
    consent: Consent
    engagement: Explained
    fit: Explained
    touches: int
    agreement: int
    respond: RespondWithin
    text: str = ""


STAGES: Mapping[str, Journey] = MappingProxyType(
    {
        "first_thought": Journey(
            name="first_thought",
            meaning="Something made them think that it could be better; they are not looking yet.",
            first_conversation="Ask what made them look up. Offer a view of the problem, not the product.",
        ),
        "passive_looking": Journey(
            name="passive_looking",
            meaning="They collect ideas, without a date and without a plan.",
            first_conversation="Ask what they have seen so far, and what would make a change worth it.",
        ),
        "active_looking": Journey(
            name="active_looking",
            meaning="They compare ways to solve it, and something has happened that made them start.",
            first_conversation="Ask what happened, what they have tried, and what they have ruled out.",
        ),
        "deciding": Journey(
            name="deciding",
            meaning="They weigh trade-offs between a few offers.",
            first_conversation="Ask what must be true to decide, who decides with them, and by when.",
        ),
    }
)


def write_brief(ready: HandoffReady, *, heard: Iterable[Objection] = ()) -> Brief:
    """Write the brief of a handoff. `heard` are the objections of its account, newest first."""
    brief = Brief(
        who=_who(ready),
        account=_account(ready),
        why_now=WhyNow(summary=_summary(ready), touches=_reasons(ready.recent)),
        stage=STAGES.get(ready.stage or ""),
        words=tuple(
            Words(at=words.at, field=words.field, text=words.text[:LONGEST_WORDS]) for words in ready.words[:MOST_WORDS]
        ),
        promise=Promise(first_campaign=ready.first_campaign, last_campaign=ready.last_campaign, made=ready.promises),
        read=_pages(ready),
        not_read=tuple(map(_reading, ready.unread))[:MOST_PAGES],
        objections=tuple(islice(heard, MOST_OBJECTIONS)),
        opening=opening_question(ready),
        consent=Consent(opted_out=False, opted_in_at=ready.opted_in_at),  # who opted out is handed to nobody
        engagement=_explained(ready.engagement),
        fit=_explained(ready.fit),
        touches=ready.touches,
        agreement=ready.agreement,
        respond=_respond(ready),
    )
    return replace(brief, text=render_brief(brief))


def _who(ready: HandoffReady) -> Who:
    traits = ready.contact.traits
    return Who(
        name=name_of(ready.contact),
        email=email_of(ready.contact),
        title=_written(traits.get("title")),
        phone=_written(traits.get("phone")),
    )


def _account(ready: HandoffReady) -> Account:
    traits = ready.contact.account_traits
    return Account(
        id=ready.contact.account_id,
        name=company_of(ready.contact),
        domain=ready.contact.account_domain,
        industry=_written(traits.get("industry")),
        employees=_written(traits.get("employees")),
        engagement=ready.account.engagement if ready.account else None,
        people=ready.account.people if ready.account else (),
    )


def _summary(ready: HandoffReady) -> str:
    scores = f"engagement {ready.engagement.score:.0f} and fit {ready.fit.score:.0f} of 100"
    last = f" Last: {touch_words(ready.recent[0])}." if ready.recent else ""
    match ready.reason:
        case "hand_raise":
            return f"Asked to talk to sales, with {scores}.{last}"
        case "account":
            people = len(ready.account.people) if ready.account else 0
            return f"{people} people of one company crossed the agreed threshold together; they have {scores}.{last}"
        case "threshold":
            return f"Crossed the agreed threshold with {scores}, after {ready.touches} touches.{last}"


def _reasons(recent: Iterable[TouchSummary]) -> tuple[Reason, ...]:
    counted = [touch for touch in recent if touch.rules]
    return tuple(Reason(at=touch.at, words=touch_words(touch), rules=touch.rules) for touch in counted[:MOST_TOUCHES])


def _pages(ready: HandoffReady) -> tuple[str, ...]:
    if ready.read:
        pages = {page.title or page.path: page.times for page in ready.read[:MOST_PAGES]}
        return tuple(page if times == 1 else f"{page} ({times} times)" for page, times in pages.items())
    read = dict.fromkeys(touch.title or touch.path for touch in ready.recent if touch.type == "page")
    return tuple(page for page in read if page)[:MOST_PAGES]


def _reading(rule_id: str) -> str:
    """Name the page that a rule rewards: `case-study-read` is about the case study."""
    words = rule_id.replace("_", "-").split("-")
    return " ".join(words[:-1] if len(words) > 1 and words[-1] in {"read", "viewed", "seen", "visited"} else words)


def _explained(score: Score) -> Explained:
    return Explained(
        score=score.score, parts=tuple(sorted(score.parts, key=lambda part: abs(part.value), reverse=True))
    )


def _respond(ready: HandoffReady) -> RespondWithin:
    within = timedelta(seconds=ready.respond.within_seconds)
    return RespondWithin(
        within=format_duration(within),
        within_seconds=ready.respond.within_seconds,
        hours=ready.respond.hours,
        by=ready.decided_at + within if ready.respond.hours == "always" else None,
    )


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
