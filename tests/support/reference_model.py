"""Scoring in plain code, to hold the scorer against: sums over all touches each time, nothing decays in place.

It shares no code with the scorer but the agreement's values. It knows one agreement, no feedback, and of patterns
what `fnmatch` does. `expected` follows touches one by one to the handoffs; `final` tells what is left in the end, after
merges and verdicts on clicks, for which only the set of touches matters.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from uuid import UUID

from shared.agreement.model import JOURNEY, Agreement, Condition
from shared.events.touch import Touch

# What is done to contacts, and no touch of theirs.
DONE_TO = {f"Email {step}" for step in ("Sent", "Deferred", "Dropped", "Delivered", "Bounced")} | {"Trial Ended"}


@dataclass
class Past:
    """What one contact did so far."""

    touches: list[Touch] = field(default_factory=list)
    counted: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))  # by rule
    latest: dict[str, datetime] = field(default_factory=dict)  # by rule


def expected(
    touches: Mapping[str, Iterable[Touch]], agreement: Agreement, *, as_of: datetime
) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return each contact's engagement at the instant, and (contact, tipping touch) of each handoff.

    Touches are given by contact in the order in which they were put on the log, repeats included.
    """
    scores: dict[str, float] = {}
    handoffs: list[tuple[str, str]] = []
    for contact, arrived in touches.items():
        past = Past()
        known = set()
        level: float | None = None  # of an open handoff: the engagement below which it no longer counts
        withdrawn = False  # whether its contact opted out since: asking for sales then opens the next
        for touch in arrived:
            if touch.id in known:
                continue
            known.add(touch.id)
            if level is not None and engagement(past, agreement, touch.received_at) < level:
                level = None
            was_out = is_out(past)
            raises_hand = remember(past, touch, agreement)
            withdrawn = withdrawn or (is_out(past) and not was_out)
            score = engagement(past, agreement, touch.received_at)
            asks = raises_hand and (level is None or withdrawn)
            tips = asks or (level is None and crosses(past, score, touch, agreement))
            if tips and may_be_told(past, agreement):
                withdrawn = False
                handoffs.append((contact, str(touch.id)))
                level = agreement.rearm.below * min(1.0, max(0.0, score) / agreement.ready.engagement)
            if level is not None:
                level = agreement.rearm.below if score >= agreement.rearm.below else level
                level = None if score < level else level
        score = engagement(past, agreement, as_of)
        scores[contact] = 0.0 if is_out(past) else min(100.0, max(0.0, score))
    return scores, handoffs


@dataclass
class Final:
    """What is known of one contact in the end."""

    score: float
    touches: int
    suspect: dict[UUID, str]  # reasons by touch
    opted_out: bool


def final(touches: Iterable[Touch], agreement: Agreement, *, as_of: datetime) -> Final:
    """Return what these touches of one contact, in any order and with repeats, come to."""
    unique = {touch.id: touch for touch in touches}
    suspect = suspicious(list(unique.values()))
    past = Past()
    everything = Past(list(unique.values()))
    for touch in unique.values():
        if touch.id not in suspect:
            remember(past, touch, agreement)
    out = is_out(everything)
    score = 0.0 if out else min(100.0, max(0.0, engagement(past, agreement, as_of)))
    return Final(score, own_touches(past), suspect, out)


def suspicious(touches: list[Touch]) -> dict[UUID, str]:
    """Return why clicks were made by a machine: each is held against all others, and bursts are tried one by one."""
    found = {touch.id: touch.suspect for touch in touches if touch.suspect}
    clicks = [touch for touch in touches if touch.name == "Email Link Clicked"]
    for click in clicks:
        mail = click.properties.get("email_id")
        for other in touches:
            same = mail is None or other.properties.get("email_id") in {None, mail}
            soon = timedelta(0) <= click.occurred_at - other.occurred_at < timedelta(seconds=5)
            if other.name == "Email Delivered" and same and soon:
                found.setdefault(click.id, "clicked_at_delivery")
        for first in clicks:
            for links, within in ((2, 1), (3, 2)):
                burst = [
                    other
                    for other in clicks
                    if timedelta(0) <= other.occurred_at - first.occurred_at < timedelta(seconds=within)
                    if "link_url" in other.properties
                ]
                if click in burst and len({other.properties["link_url"] for other in burst}) >= links:
                    found.setdefault(click.id, "many_links_at_once")
    return found


def people(touches: Iterable[Touch], merges: Iterable[tuple[UUID, UUID]]) -> dict[UUID, list[Touch]]:
    """Return the touches by the contact that they belong to, given the survivor and the other of each merge."""
    into = {other: survivor for survivor, other in merges}
    found: dict[UUID, list[Touch]] = {}
    for touch in touches:
        contact = touch.contact_id
        while contact in into:
            contact = into[contact]
        found.setdefault(contact, []).append(touch)
    return found


def remember(past: Past, touch: Touch, agreement: Agreement) -> bool:
    """Count the touch; return whether it asks for sales, not too long ago."""
    past.touches.append(touch)
    asks = False
    for rule in agreement.rules:
        if not all(matches(value_of(touch, line.field), line) for line in rule.when):
            continue
        asks = asks or rule.hand_raise
        instant = happened(touch)
        past.latest[rule.id] = max(past.latest.get(rule.id, instant), instant)
        if rule.per_day is not None:
            instant = instant.replace(hour=12, minute=0, second=0, microsecond=0)
            if past.counted[rule.id].count(instant) >= rule.per_day:
                continue
        past.counted[rule.id].append(instant)
    return asks and touch.received_at - touch.occurred_at <= agreement.half_life


def happened(touch: Touch) -> datetime:
    """Return when it happened: not later than it was received, whatever a clock said."""
    return min(touch.occurred_at, touch.received_at)


def engagement(past: Past, agreement: Agreement, at: datetime) -> float:
    """Return what all rules earn within their groups' caps."""
    worth: dict[str, float] = defaultdict(float)
    for rule in agreement.rules:
        for instant in past.counted.get(rule.id, ()):
            worth[rule.group] += rule.points * float(2 ** (-(at - instant) / agreement.half_life))
    return sum(min(cap, worth[group]) for group, cap in agreement.groups.items())


def crosses(past: Past, score: float, touch: Touch, agreement: Agreement) -> bool:
    """Tell whether the threshold holds after the touch."""
    ready = agreement.ready
    holding = [
        JOURNEY.index(rule.stage)
        for rule in agreement.rules
        if rule.stage and rule.id in past.latest
        if past.latest[rule.id] + agreement.stages[rule.stage] >= touch.received_at
    ]
    return (
        score >= ready.engagement - 1e-9
        and min(100.0, sum(rule.points for rule in fitting(past, agreement))) >= ready.fit
        and own_touches(past) >= ready.touches
        and (ready.stage is None or max(holding, default=-1) >= JOURNEY.index(ready.stage))
    )


def own_touches(past: Past) -> int:
    """Return how often the contact did something itself."""
    actions = [touch for touch in past.touches if touch.type in {"track", "page", "screen"}]
    return sum(touch.name not in DONE_TO for touch in actions)


def may_be_told(past: Past, agreement: Agreement) -> bool:
    """Tell whether nothing forbids a handoff."""
    return not is_out(past) and not any(rule.disqualify for rule in fitting(past, agreement))


def fitting(past: Past, agreement: Agreement) -> list[Any]:
    """Return the fit rules that the newest traits meet."""
    known: dict[str, Any] = {}
    for touch in sorted(past.touches, key=lambda touch: (happened(touch), touch.id)):
        if touch.traits or touch.account_traits or touch.account_domain:
            known |= {f"contact.{key}": value for key, value in touch.traits.items()}
            known |= {f"account.{key}": value for key, value in touch.account_traits.items()}
            known |= {"account.domain": touch.account_domain} if touch.account_domain else {}
    return [rule for rule in agreement.fit if all(matches(known.get(line.field), line) for line in rule.when)]


def is_out(past: Past) -> bool:
    """Tell whether the newest word on contacting is to leave the contact alone."""
    told = [(happened(touch), touch.opted_out, touch.id) for touch in past.touches if touch.opted_out is not None]
    return bool(max(told)[1]) if told else False


def value_of(touch: Touch, name: str) -> Any:
    """Return a field of the touch."""
    return touch.properties.get(name[11:]) if name.startswith("properties.") else getattr(touch, name)


def matches(value: Any, condition: Condition) -> bool:
    """Tell whether the value matches one of the patterns: text in any case, with wildcards."""
    return value is not None and any(fnmatchcase(str(value).lower(), str(one).lower()) for one in condition.any_of)
