"""What the contact was shown: the pages it read, and what the campaigns promised that brought it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from shared.events.handoff import PageRead, Promised
from shared.events.touch import Campaign, Touch, TouchType

MOST_PAGES = 30
LONGEST_TEXT = 300  # characters
LANDING = timedelta(minutes=30)  # after a click that is no page view itself

# Properties in which campaigns say what they told people, the plainest first.
MESSAGES = ("campaign_message", "email_subject", "subject", "headline")
OFFERS = ("campaign_offer", "offer")


def pages_read(history: Iterable[Touch]) -> tuple[PageRead, ...]:
    """Return the pages, each once, the last read first. `history` is newest first."""
    pages: dict[str, PageRead] = {}
    for touch in history:
        if touch.type is TouchType.PAGE and (name := touch.path or touch.title or touch.name):
            seen = pages.get(name)
            if seen is not None:
                pages[name] = PageRead(at=seen.at, title=seen.title, path=seen.path, times=seen.times + 1)
            elif len(pages) < MOST_PAGES:
                title = (touch.title or touch.name)[:LONGEST_TEXT]
                pages[name] = PageRead(at=touch.occurred_at, title=title, path=touch.path[:LONGEST_TEXT])
    return tuple(pages.values())


def promises_made(history: Sequence[Touch], *, first: Campaign | None, last: Campaign | None) -> tuple[Promised, ...]:
    """Return what the first campaign promised, and the last one if it is another. `history` is newest first."""
    made = []
    if first is not None:
        made.append(_promised(first, history, brought=_first_of(first, reversed(history))))
    if last is not None and last != first:
        made.append(_promised(last, history, brought=_first_of(last, history)))
    return tuple(made)


def _first_of(campaign: Campaign, touches: Iterable[Touch]) -> Touch | None:
    return next((touch for touch in touches if touch.campaign == campaign), None)


def _promised(campaign: Campaign, history: Sequence[Touch], *, brought: Touch | None) -> Promised:
    of_campaign = [touch for touch in history if touch.campaign == campaign]
    landed = _landing(history, brought) if brought else None
    return Promised(
        campaign=campaign,
        at=brought.occurred_at if brought else None,
        message=_said(of_campaign, MESSAGES),
        offer=_said(of_campaign, OFFERS),
        landing_page=landed.path[:LONGEST_TEXT] if landed else "",
        landing_title=(landed.title or landed.name)[:LONGEST_TEXT] if landed else "",
    )


def _landing(history: Sequence[Touch], brought: Touch) -> Touch | None:
    """Return the page where the campaign's visit began."""
    for touch in reversed(history):
        after = touch.occurred_at - brought.occurred_at
        if touch.type is TouchType.PAGE and timedelta() <= after <= LANDING:
            return touch
    return None


def _said(touches: Iterable[Touch], keys: Sequence[str]) -> str:
    for touch in touches:
        for key in keys:
            value: Any = touch.properties.get(key)
            if isinstance(value, str) and value.strip():
                return " ".join(value.split())[:LONGEST_TEXT]
    return ""
