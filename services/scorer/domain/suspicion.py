"""Suspicion: which clicks in mails were made by a machine, told by the touches beside them.

Mail scanners open every link, with a real browser's name and often as the mail arrives. Two things give them away:

* the click comes less than `after_delivery` after the delivery of the same mail;
* several distinct links are clicked within a time in which nobody reads.

Whatever order touches arrive in, they are compared by when they occurred, so the verdicts are the same. More touches
make more clicks suspect, never fewer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from services.scorer.domain.instants import micros_of, to_micros
from shared.events.touch import Touch, TouchType
from shared.events.vocabulary import EMAIL_DELIVERED, EMAIL_LINK_CLICKED

MAIL_NAMES = frozenset({EMAIL_DELIVERED, EMAIL_LINK_CLICKED})  # of touches that verdicts may depend on

AT_DELIVERY = "clicked_at_delivery"
MANY_LINKS = "many_links_at_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What nobody does by hand. A duration of zero switches its test off."""

    after_delivery: timedelta = timedelta(seconds=5)  # a click sooner than that was not made by who reads the mail
    bursts: tuple[tuple[int, timedelta], ...] = ((2, timedelta(seconds=1)), (3, timedelta(seconds=2)))
    # of (distinct links, duration): so many clicked in less than that

    @property
    def reach(self) -> timedelta:
        """How far from a touch those are on which verdicts depend that it changes."""
        return self.after_delivery + 2 * max((within for _, within in self.bursts), default=timedelta())


class Mail(NamedTuple):
    """What matters of a delivery or a click. The instant is in microseconds."""

    at: int
    is_click: bool  # deliveries come first of what happened at one instant
    id: UUID
    email: str  # which mail, "" when that is not told
    link: str


def mail_of(touch: Touch) -> Mail | None:
    """Return what matters of the touch, None when verdicts do not depend on it."""
    if touch.name not in MAIL_NAMES or touch.type is not TouchType.TRACK:
        return None
    said = touch.properties
    return Mail(
        to_micros(touch.occurred_at),
        touch.name == EMAIL_LINK_CLICKED,
        touch.id,
        str(said.get("email_id") or said.get("message_id") or ""),
        str(said.get("link_url") or touch.url),
    )


def suspicions(mails: Iterable[Mail], limits: Limits) -> dict[UUID, str]:
    """Return the reason of each suspect click among what happened to one contact, given in any order."""
    ordered = sorted(set(mails))
    reasons: dict[UUID, str] = {}
    clicks = [mail for mail in ordered if mail.is_click and mail.link]
    for links, within in limits.bursts:
        reasons |= dict.fromkeys(_in_bursts(clicks, links, micros_of(within)), MANY_LINKS)
    return reasons | dict.fromkeys(_at_delivery(ordered, micros_of(limits.after_delivery)), AT_DELIVERY)


def weightier(found: str, now: str) -> str:
    """Return the reason to keep of one found before and one found now among fewer neighbours: either may be empty."""
    return found if found == AT_DELIVERY else now or found


def _in_bursts(clicks: Sequence[Mail], links: int, within: int) -> Iterable[UUID]:
    """Yield the clicks of each stretch shorter than `within` that holds so many distinct links."""
    counts: Counter[str] = Counter()
    start = told = 0
    for end, click in enumerate(clicks):
        counts[click.link] += 1
        while start <= end and click.at - clicks[start].at >= within:
            counts[clicks[start].link] -= 1
            if not counts[clicks[start].link]:
                del counts[clicks[start].link]
            start += 1
        if len(counts) >= links:
            for index in range(max(start, told), end + 1):
                yield clicks[index].id
            told = end + 1


def _at_delivery(ordered: Sequence[Mail], within: int) -> Iterable[UUID]:
    """Yield the clicks that follow a delivery too soon: of the same mail, or where it is not told which, of any."""
    delivered: dict[str, int] = {}
    latest: int | None = None  # delivery of any mail
    for mail in ordered:
        if not mail.is_click:
            delivered[mail.email] = latest = mail.at
            continue
        since = [delivered.get(mail.email), delivered.get("")] if mail.email else [latest]
        if any(at is not None and mail.at - at < within for at in since):
            yield mail.id
