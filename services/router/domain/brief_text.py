"""The brief as text: what a rep reads in a chat message, an e-mail or a CRM note."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from shared.events.explanation import Part
from shared.events.handoff import Promised
from shared.events.touch import Campaign

if TYPE_CHECKING:
    from services.router.domain.brief import Brief, Explained

MOST_PARTS = 6


def render_brief(brief: "Brief") -> str:
    """Render the brief. Lines about what is not known are left out."""
    sections = (
        _who, _why_now, _stage, _words, _promises, _reading, _objections, _opening, _people, _scores, _agreed,
    )  # fmt: skip
    return "\n\n".join(text for section in sections if (text := "\n".join(section(brief))))


def _who(brief: "Brief") -> Iterator[str]:
    yield headline(brief.who.name, brief.who.email, title=brief.who.title, company=brief.account.name)
    contact = [part for part in (brief.who.email, brief.who.phone) if part]
    if contact:
        yield ", ".join(contact)
    account = [part for part in (brief.account.industry, _employees(brief), brief.account.domain) if part]
    if account:
        yield ", ".join(account)


def _why_now(brief: "Brief") -> Iterator[str]:
    yield f"Why now: {brief.why_now.summary}"
    for reason in brief.why_now.touches:
        yield f"  {_moment(reason.at)}  {reason.words}"


def _stage(brief: "Brief") -> Iterator[str]:
    if brief.stage:
        yield f"Stage: {brief.stage.name.replace('_', ' ')}. {brief.stage.meaning}"
        yield f"  {brief.stage.first_conversation}"


def _words(brief: "Brief") -> Iterator[str]:
    if brief.words:
        yield "In their own words:"
    for words in brief.words:
        yield f"  {words.field}: “{one_line(words.text)}”"


def _reading(brief: "Brief") -> Iterator[str]:
    if brief.read:
        yield f"They read: {', '.join(brief.read)}"
    if brief.not_read:
        yield f"Not yet: {', '.join(brief.not_read)}"


def _objections(brief: "Brief") -> Iterator[str]:
    if brief.objections:
        yield "Heard from this company before:"
    for objection in brief.objections:
        yield f"  {objection.at:%Y-%m-%d}  {one_line(objection.objection)} (told {objection.rep})"


def _opening(brief: "Brief") -> Iterator[str]:
    yield f"You could begin with: {brief.opening}"


def _scores(brief: "Brief") -> Iterator[str]:
    yield from _score("Engagement", brief.engagement)
    yield from _score("Fit", brief.fit)


def _agreed(brief: "Brief") -> Iterator[str]:
    yield f"Consent: {brief.consent.words}."
    hours = "business hours" if brief.respond.hours == "business" else "any hour"
    yield f"Answer within {brief.respond.within} ({hours}), as agreement {brief.agreement} says."


def headline(name: str, email: str, *, title: str, company: str) -> str:
    """Name the person, as far as they are known."""
    person = name or email or "Somebody"
    return one_line(f"{person}{f', {title}' if title else ''}{f' at {company}' if company else ''}")


def one_line(text: str) -> str:
    """Return the text without breaks: what somebody typed may not look like a part of the brief."""
    return " ".join(text.split())


def _people(brief: "Brief") -> Iterator[str]:
    if brief.account.people:
        yield f"Together at {brief.account.name or brief.account.domain}: {brief.account.engagement or 0:.1f}"
    for person in brief.account.people:
        roles = f", {', '.join(role.replace('_', ' ') for role in person.roles)}" if person.roles else ""
        yield f"  {person.adds:+.1f}  contact {person.contact_id}{roles}"


def _employees(brief: "Brief") -> str:
    return f"{brief.account.employees} employees" if brief.account.employees else ""


def _promises(brief: "Brief") -> Iterator[str]:
    first, last = brief.promise.first_campaign, brief.promise.last_campaign
    made = {promised.campaign: promised for promised in brief.promise.made}
    if first:
        yield f"First came by: {_campaign(first)}"
        yield from _promised(made.get(first))
    if last and last != first:
        yield f"Last came by: {_campaign(last)}"
        yield from _promised(made.get(last))


def _promised(promised: Promised | None) -> Iterator[str]:
    if promised is None:
        return
    if promised.message:
        yield f"  It said: “{promised.message}”"
    if promised.offer:
        yield f"  It offered: {promised.offer}"
    landing = promised.landing_title or promised.landing_page
    if landing:
        page = f" ({promised.landing_page})" if promised.landing_page and promised.landing_page != landing else ""
        yield f"  They arrived at {landing}{page}"


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
