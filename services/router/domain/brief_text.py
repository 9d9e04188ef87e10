"""The brief as text: what a rep reads in a chat message, an e-mail or a CRM note."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.events.explanation import Part
from shared.events.touch import Campaign

if TYPE_CHECKING:
    from services.router.domain.brief import Brief, Explained

MOST_PARTS = 6


def render_brief(brief: "Brief") -> str:
    """Render the brief. Lines about what is not known are left out."""
    return "\n".join(_lines(brief))


def _lines(brief: "Brief") -> Iterator[str]:
    yield _headline(brief)
    contact = [part for part in (brief.who.email, brief.who.phone) if part]
    if contact:
        yield ", ".join(contact)
    account = [part for part in (brief.account.industry, _employees(brief), brief.account.domain) if part]
    if account:
        yield ", ".join(account)
    yield ""
    yield f"Why now: {brief.why_now.summary}"
    for reason in brief.why_now.touches:
        yield f"  {_moment(reason.at)}  {reason.words}"
    if brief.stage:
        yield ""
        yield f"Stage: {brief.stage.name.replace('_', ' ')}. {brief.stage.meaning}"
        yield f"  {brief.stage.first_conversation}"
    if brief.words:
        yield ""
        yield "In their own words:"
        for words in brief.words:
            yield f"  {words.field}: “{' '.join(words.text.split())}”"
    promises = list(_promises(brief))
    if promises:
        yield ""
        yield from promises
    if brief.read:
        yield ""
        yield f"They read: {', '.join(brief.read)}"
    if brief.account.people:
        yield ""
        yield from _people(brief)
    yield ""
    yield from _score("Engagement", brief.engagement)
    yield from _score("Fit", brief.fit)
    yield ""
    hours = "business hours" if brief.respond.hours == "business" else "any hour"
    yield f"Answer within {brief.respond.within} ({hours}), as agreement {brief.agreement} says."


def _people(brief: "Brief") -> Iterator[str]:
    yield f"Together at {brief.account.name or brief.account.domain}: {brief.account.engagement or 0:.1f}"
    for person in brief.account.people:
        roles = f", {', '.join(role.replace('_', ' ') for role in person.roles)}" if person.roles else ""
        yield f"  {person.adds:+.1f}  contact {person.contact_id}{roles}"


def _headline(brief: "Brief") -> str:
    person = brief.who.name or brief.who.email or "Somebody"
    at = f" at {brief.account.name}" if brief.account.name else ""
    return f"{person}{f', {brief.who.title}' if brief.who.title else ''}{at}"


def _employees(brief: "Brief") -> str:
    return f"{brief.account.employees} employees" if brief.account.employees else ""


def _promises(brief: "Brief") -> Iterator[str]:
    first, last = brief.promise.first_campaign, brief.promise.last_campaign
    if first:
        yield f"First came by: {_campaign(first)}"
    if last and last != first:
        yield f"Last came by: {_campaign(last)}"


def _campaign(campaign: Campaign) -> str:
    way = " / ".join(part for part in (campaign.source, campaign.medium) if part)
    said = ", ".join(part for part in (campaign.content, campaign.term) if part)
    return (campaign.name or "a campaign") + (f" ({way})" if way else "") + (f", which said: {said}" if said else "")


def _score(title: str, explained: "Explained") -> Iterator[str]:
    yield f"{title} {explained.score:.1f} of 100"
    for part in explained.parts[:MOST_PARTS]:
        yield f"  {part.value:+.1f}  {_part(part)}"
    rest = explained.parts[MOST_PARTS:]
    if rest:
        yield f"  {sum(part.value for part in rest):+.1f}  {len(rest)} more"


def _part(part: Part) -> str:
    if not part.rule:
        return f"{part.adjustment} {part.group}".strip()
    if not part.count:
        return part.rule
    times = "once" if part.count == 1 else f"{part.count} times"
    return f"{part.rule}, {times}: {part.decayed:.2f} left of it at {part.points:g} points each"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
