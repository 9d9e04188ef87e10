"""What an event means: the touch that it makes of its contact."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from services.ingest.domain.account import email_domain, stated_domain
from services.ingest.domain.event import Event, Origin
from services.ingest.domain.identity import Person
from services.ingest.domain.scalars import says_yes, scalar_text
from services.ingest.domain.suspicion import Sign
from shared.events.touch import Campaign, Touch, TouchType
from shared.events.vocabulary import Effect, names_with
from shared.ids import touch_id

OPT_OUTS = names_with(Effect.OPT_OUT)
OPT_INS = names_with(Effect.OPT_IN)
OPT_OUT_TRAITS = ("do_not_contact", "unsubscribed")

# Reading a member of an enumeration takes longer than comparing with it.
_TRACK, _GROUP = TouchType.TRACK, TouchType.GROUP
_NO_CAMPAIGN = Campaign()
_NOTHING: dict[str, Any] = {}


def touch_of(event: Event, origin: Origin, person: Person, *, sign: Sign | None = None) -> Touch:
    """Return the touch that the event is for this person; `sign` is what speaks for a machine instead."""
    properties, page = event.properties, event.page
    url = path = title = referrer = ""
    if page or "url" in properties or "path" in properties:
        url = scalar_text(properties.get("url") or page.get("url"))
        path = scalar_text(properties.get("path") or page.get("path")) or _path(url)
        title = scalar_text(properties.get("title") or page.get("title"))
        referrer = scalar_text(properties.get("referrer") or page.get("referrer"))
    account_traits = _account_traits(event) if event.traits or event.group_id else _NOTHING
    source = event.source or origin.source
    return Touch(
        id=touch_id(source, event.message_id),
        contact_id=person.contact_id,
        source=source,
        kind=origin.kind,
        type=event.type,
        name=event.name,
        occurred_at=event.occurred_at,
        received_at=origin.as_of or origin.received_at,
        url=url,
        path=path,
        title=title,
        referrer=referrer,
        campaign=_campaign(event, source, url),
        properties=properties,
        aliases=person.aliases,
        traits=_NOTHING if event.type is _GROUP else event.traits,
        account_domain=(account_traits and stated_domain(account_traits)) or email_domain(event.names.email),
        account_traits=account_traits,
        suspect=sign or "",
        opted_out=opted_out(event),
    )


def _account_traits(event: Event) -> dict[str, Any]:
    if event.type is _GROUP:
        return {"id": event.group_id, **event.traits} if event.group_id else event.traits
    company = event.traits.get("company")
    if isinstance(company, dict):
        return company
    return {"name": company} if company and isinstance(company, str) else _NOTHING


def _campaign(event: Event, source: str, url: str) -> Campaign | None:
    """Return what brought the contact: as the SDK says, else by the link's utm parameters, else the mail's own name."""
    if event.campaign:
        found = Campaign(**{field: scalar_text(event.campaign.get(field)) for field in Campaign.__struct_fields__})
        if found != _NO_CAMPAIGN:
            return found
    if "utm_" in url:
        parameters = dict(parse_qsl(_query(url).replace("%00", "")))  # NUL, which PostgreSQL cannot keep
        found = Campaign(
            name=parameters.get("utm_campaign", ""),
            source=parameters.get("utm_source", ""),
            medium=parameters.get("utm_medium", ""),
            term=parameters.get("utm_term", ""),
            content=parameters.get("utm_content", ""),
        )
        if found != _NO_CAMPAIGN:
            return found
    properties = event.properties
    if not ("campaign_name" in properties or "campaign_id" in properties):
        return None
    if name := scalar_text(properties.get("campaign_name") or properties.get("campaign_id")):
        return Campaign(name=name, source=source, medium="email" if event.name.startswith("Email ") else "")
    return None


def opted_out(event: Event) -> bool | None:
    """Tell whether the contact asked to be left alone; only an event of its own takes that back.

    A trait that says "not unsubscribed" may be old news from a list that was never told.
    """
    if event.type is _TRACK:
        name = event.name.strip().lower()
        if name in OPT_OUTS:
            return True
        if name in OPT_INS:
            return False
    if event.traits and event.type is not _GROUP:
        for trait in OPT_OUT_TRAITS:
            if says_yes(event.traits.get(trait)):
                return True
    return None


def _path(url: str) -> str:
    try:
        return urlsplit(url).path if url else ""
    except ValueError:
        return ""


def _query(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:
        return ""
