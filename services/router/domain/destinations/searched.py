"""Systems without a key to write by: look first, then create or change.

What the search finds is the record of an earlier attempt, too, so that an attempt whose answer was lost makes no
second one. A search may not know yet what was written seconds ago: the ids that answers told are remembered, and come
before it; and what an attempt may have made without an answer is not made again before the search must know it. A
record that is not there any more is forgotten, and looked for again.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from services.router.domain.destination import Answer, Exchange, Judged, Learned, Request, Target
from services.router.domain.destinations.lead import Lead, ask, fields_of
from services.router.domain.mapping import FieldRule
from services.router.domain.outcome import Outcome

LONGEST_TITLE = 250  # characters

# What is remembered of a contact.
_PERSON, _LEAD = "person", "lead"
_LONGEST_ID = 200  # characters
_NOT_THERE = frozenset({404, 410})
_MADE_BEFORE = "An earlier attempt had made the lead."


def pipedrive(lead: Lead, target: Target) -> Exchange:
    """A person by e-mail address, and of that person a lead by its origin id, which is the handoff's.

    https://developers.pipedrive.com/docs/api/v1/Leads, https://developers.pipedrive.com/docs/api/v1/Persons
    """
    if not lead["contact"]["email"]:
        raise ValueError("the contact has no e-mail address, which Pipedrive is to find it by.")
    if made := target.known.get(_lead_of(lead)):
        answer = yield ask(target, "GET", f"/api/v1/leads/{quote(made, safe='')}")
        if answer.status not in _NOT_THERE:
            return _refused(answer) or Judged(Outcome.DELIVERED, _MADE_BEFORE)
    if known := target.known.get(_PERSON):
        judged = yield from _find_or_make_lead(lead, target, known)
        if judged.outcome not in {Outcome.REFUSED, Outcome.GONE}:
            return judged
        # Merged or deleted there; or the lead itself is refused, which the attempt below then says.
    found = yield from _find_person(lead, target)
    if isinstance(found, Judged):
        return found
    if found:
        return (yield from _find_or_make_lead(lead, target, found))
    person = yield from _make_person(lead, target)
    if isinstance(person, Judged):
        return person
    return (yield from _make_lead(lead, target, person))


def close(lead: Lead, target: Target) -> Exchange:
    """A lead by the e-mail address of its contact; its description tells the brief.

    https://developer.close.com/resources/leads, https://developer.close.com/topics/rate-limits
    """
    email = lead["contact"]["email"]
    if not email:
        raise ValueError("the contact has no e-mail address, which Close is to find it by.")
    fields = fields_of(lead, target, {"description": "brief.text"})
    forgotten: Learned = {}
    if known := target.known.get(_LEAD):
        answer = yield ask(target, "PUT", f"/api/v1/lead/{quote(known, safe='')}/", fields)
        if answer.status not in _NOT_THERE:
            return _of_close(answer)
        forgotten = {_LEAD: None}
    quoted = email.replace("\\", "\\\\").replace('"', '\\"')
    query = urlencode({"query": f'email_address:"{quoted}"', "_limit": "1", "_fields": "id"})
    answer = yield ask(target, "GET", f"/api/v1/lead/?{query}", learned=forgotten)
    if answer.outcome() is not Outcome.DELIVERED:
        return _of_close(answer)
    found = (answer.json() or {}).get("data") or []
    if found:
        path = f"/api/v1/lead/{found[0]['id']}/"
        answer = yield ask(target, "PUT", path, fields, learned=_id_of(found[0], _LEAD))
        return _of_close(answer)
    who = lead["brief"]["who"]
    contact = {
        "name": lead["contact"]["name"] or email,
        "title": who["title"],
        "emails": [{"email": email, "type": "office"}],
        "phones": [{"phone": who["phone"], "type": "office"}] if who["phone"] else [],
    }
    company = lead["contact"]["company"] or contact["name"]
    made_of = {"name": company, "contacts": [contact], **fields}
    answer = yield ask(target, "POST", "/api/v1/lead/", made_of, makes=_LEAD)
    made = answer.json() if answer.outcome() is Outcome.DELIVERED else None
    return replace(_of_close(answer), learned=_id_of(made, _LEAD))


def _find_person(lead: Lead, target: Target) -> Generator[Request, Answer, str | Judged | None]:
    """Return the person's id, None for one that is not there, or what a failure amounts to."""
    query = urlencode({"term": lead["contact"]["email"], "fields": "email", "exact_match": "true", "limit": "1"})
    forgotten: Learned = {name: None for name in (_PERSON, _lead_of(lead)) if name in target.known}
    answer = yield ask(target, "GET", f"/api/v2/persons/search?{query}", learned=forgotten)
    if (refused := _refused(answer)) is not None:
        return refused
    items = (answer.json().get("data") or {}).get("items") or []
    return str(items[0]["item"]["id"]) if items else None


def _make_person(lead: Lead, target: Target) -> Generator[Request, Answer, str | Judged]:
    """Return the id of the new person, or what a failure amounts to."""
    email = lead["contact"]["email"]
    created = {"name": lead["contact"]["name"] or email, "emails": [{"value": email, "primary": True}]}
    if phone := lead["brief"]["who"]["phone"]:
        created["phones"] = [{"value": phone, "primary": True}]
    answer = yield ask(target, "POST", "/api/v2/persons", created, makes=_PERSON)
    if (refused := _refused(answer)) is not None:
        return refused
    person = (answer.json().get("data") or {}).get("id")
    if person is None:
        return Judged(Outcome.BROKEN, "Pipedrive made a person and does not say which.")
    return str(person)


def _find_or_make_lead(lead: Lead, target: Target, person: str) -> Exchange:
    query = urlencode({"person_id": person, "limit": 50})
    answer = yield ask(target, "GET", f"/api/v1/leads?{query}", learned=_learned(target, person))
    if (refused := _refused(answer)) is not None:
        return refused
    for item in answer.json().get("data") or []:
        if item.get("origin_id") == lead["handoff"]["id"]:
            return Judged(Outcome.DELIVERED, _MADE_BEFORE, learned=_id_of(item, _lead_of(lead)))
    return (yield from _make_lead(lead, target, person))


def _make_lead(lead: Lead, target: Target, person: str) -> Exchange:
    title = f"{lead['contact']['name'] or lead['contact']['email']}: {lead['brief']['why_now']['summary']}"
    fields = fields_of(lead, target, {"title": FieldRule(const=title[:LONGEST_TITLE])})
    whose = int(person) if person.isdecimal() else person
    body = {**fields, "person_id": whose, "origin_id": lead["handoff"]["id"]}
    answer = yield ask(target, "POST", "/api/v1/leads", body, learned=_learned(target, person))
    if (refused := _refused(answer)) is not None:
        return refused
    return Judged(Outcome.DELIVERED, learned=_id_of(answer.json().get("data"), _lead_of(lead)))


def _learned(target: Target, person: str) -> Learned:
    """Return what is new about the person."""
    return {} if target.known.get(_PERSON) == person else {_PERSON: person}


def _lead_of(lead: Lead) -> str:
    """Return the name that the lead of a handoff is remembered by."""
    return f"{_LEAD} {lead['handoff']['id']}"


def _id_of(record: Any, name: str) -> Learned:
    """Return the id of a record by the name that it is to be remembered by, as far as the answer has one."""
    found = str((record.get("id") if isinstance(record, Mapping) else None) or "")
    return {name: found} if found and len(found) <= _LONGEST_ID else {}


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
