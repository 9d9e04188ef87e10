"""Systems without a key to write by: look first, then create or change.

What the search finds is the record of an earlier attempt, too, so that an attempt whose answer was lost makes no
second one.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from services.router.domain.destination import Answer, Exchange, Judged, Target
from services.router.domain.destinations.lead import Lead, ask, fields_of
from services.router.domain.mapping import FieldRule
from services.router.domain.outcome import Outcome

LONGEST_TITLE = 250  # characters


def pipedrive(lead: Lead, target: Target) -> Exchange:
    """A person by e-mail address, and of that person a lead by its origin id, which is the handoff's.

    https://developers.pipedrive.com/docs/api/v1/Leads, https://developers.pipedrive.com/docs/api/v1/Persons
    """
    email, handoff = lead["contact"]["email"], lead["handoff"]["id"]
    if not email:
        raise ValueError("the contact has no e-mail address, which Pipedrive is to find it by.")
    query = urlencode({"term": email, "fields": "email", "exact_match": "true", "limit": "1"})
    answer = yield ask(target, "GET", f"/api/v2/persons/search?{query}")
    if (refused := _refused(answer)) is not None:
        return refused
    items = ((answer.json() or {}).get("data") or {}).get("items") or []
    person = items[0]["item"]["id"] if items else None
    if person is None:
        created = {"name": lead["contact"]["name"] or email, "emails": [{"value": email, "primary": True}]}
        if phone := lead["brief"]["who"]["phone"]:
            created["phones"] = [{"value": phone, "primary": True}]
        answer = yield ask(target, "POST", "/api/v2/persons", created)
        if (refused := _refused(answer)) is not None:
            return refused
        person = ((answer.json() or {}).get("data") or {}).get("id")
    else:
        answer = yield ask(target, "GET", f"/api/v1/leads?{urlencode({'person_id': person, 'limit': 50})}")
        if (refused := _refused(answer)) is not None:
            return refused
        if any(item.get("origin_id") == handoff for item in (answer.json() or {}).get("data") or []):
            return Judged(Outcome.DELIVERED, "An earlier attempt had made the lead.")
    title = f"{lead['contact']['name'] or email}: {lead['brief']['why_now']['summary']}"[:LONGEST_TITLE]
    fields = fields_of(lead, target, {"title": FieldRule(const=title)})
    answer = yield ask(target, "POST", "/api/v1/leads", {**fields, "person_id": person, "origin_id": handoff})
    return _refused(answer) or Judged(Outcome.DELIVERED)


def close(lead: Lead, target: Target) -> Exchange:
    """A lead by the e-mail address of its contact; its description tells the brief.

    https://developer.close.com/resources/leads, https://developer.close.com/topics/rate-limits
    """
    email = lead["contact"]["email"]
    if not email:
        raise ValueError("the contact has no e-mail address, which Close is to find it by.")
    quoted = email.replace("\\", "\\\\").replace('"', '\\"')
    query = urlencode({"query": f'email_address:"{quoted}"', "_limit": "1", "_fields": "id"})
    answer = yield ask(target, "GET", f"/api/v1/lead/?{query}")
    if answer.outcome() is not Outcome.DELIVERED:
        return _of_close(answer)
    found = (answer.json() or {}).get("data") or []
    fields = fields_of(lead, target, {"description": "brief.text"})
    if found:
        answer = yield ask(target, "PUT", f"/api/v1/lead/{found[0]['id']}/", fields)
        return _of_close(answer)
    who = lead["brief"]["who"]
    contact = {
        "name": lead["contact"]["name"] or email,
        "title": who["title"],
        "emails": [{"email": email, "type": "office"}],
        "phones": [{"phone": who["phone"], "type": "office"}] if who["phone"] else [],
    }
    company = lead["contact"]["company"] or contact["name"]
    answer = yield ask(target, "POST", "/api/v1/lead/", {"name": company, "contacts": [contact], **fields})
    return _of_close(answer)


def _refused(answer: Answer) -> Judged | None:
    """Return what a failure amounts to; None: all is well, which Pipedrive says in the body, too."""
    if answer.outcome() is not Outcome.DELIVERED:
        return Judged(answer.outcome())
    body = answer.json()
    if not isinstance(body, Mapping):
        return Judged(Outcome.BROKEN, "The answer is not JSON, or longer than what is read of it.")
    if body.get("success") is False:
        return Judged(Outcome.REFUSED, str(body.get("error", "Pipedrive says that it did not succeed."))[:500])
    return None


def _of_close(answer: Answer) -> Judged:
    """Close says in a header of its own when it takes requests again: `RateLimit: limit=100, remaining=0, reset=5`."""
    told = dict(part.strip().split("=", 1) for part in answer.headers.get("ratelimit", "").split(",") if "=" in part)
    return Judged(answer.outcome(), retry_after=told.get("reset") if answer.status == 429 else None)
