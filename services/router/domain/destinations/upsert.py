"""Systems that take a record by a key of ours or theirs in one request: writing it twice is writing it once."""

from datetime import datetime
from urllib.parse import quote

import msgspec

from services.router.domain.destination import Answer, Exchange, Judged, Request, Target
from services.router.domain.destinations.lead import (
    JSON_HEADERS,
    NOTHING_TO_TELL,
    Lead,
    ask,
    fields_of,
    read_lead,
    setting,
)
from services.router.domain.mapping import FieldRule, Form
from services.router.domain.outcome import Outcome
from services.router.domain.webhook import Message


def salesforce(lead: Lead, target: Target) -> Exchange:
    """Upsert by an external id, whose field the org has to have.

    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
    """
    fields = fields_of(
        lead,
        target,
        {
            "FirstName": "person.first_name",
            "LastName": "person.last_name",
            "Company": FieldRule(path="contact.company", default="Unknown"),
            "Email": "contact.email",
            "Title": "brief.who.title",
            "Phone": "brief.who.phone",
            "LeadSource": FieldRule(const="Tandem"),
            "Description": "brief.text",
        },
    )
    key = setting(target, "external_id")
    fields.pop(key, None)  # it stands in the URL, and repeated in the body it is refused
    place = f"{setting(target, 'object')}/{key}/{quote(lead['contact']['id'], safe='')}"
    answer = yield ask(target, "PATCH", f"/services/data/{setting(target, 'version')}/sobjects/{place}", fields)
    if answer.status == 300:
        return Judged(Outcome.REFUSED, f"Several records have this {key}; nothing was written. Merge them.")
    if answer.status == 403 and b"REQUEST_LIMIT_EXCEEDED" in answer.body:
        return Judged(Outcome.THROTTLED, "The org's requests of 24 hours are used up.")
    return Judged(answer.outcome())


def hubspot(lead: Lead, target: Target) -> Exchange:
    """Upsert a batch of one by a property that is unique.

    https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/batch/post-crm-v3-objects-contacts-batch-upsert
    """
    properties = fields_of(
        lead,
        target,
        {
            "email": "contact.email",
            "firstname": "person.first_name",
            "lastname": "person.last_name",
            "company": "contact.company",
            "jobtitle": "brief.who.title",
            "phone": "brief.who.phone",
        },
    )
    key = setting(target, "id_property")
    identity = properties.get(key) if key == "email" else lead["contact"]["id"]
    if not identity:
        raise ValueError(f"the contact has no {key}, which HubSpot is to know it by; set id_property to another.")
    record = {"id": identity, "idProperty": key, "properties": {**properties, key: identity}}
    path = f"/crm/{_hubspot_version(setting(target, 'version'))}/{setting(target, 'object')}/batch/upsert"
    answer = yield ask(target, "POST", path, {"inputs": [record]})
    if answer.status in {200, 201, 207}:
        return _of_batch(answer)
    return Judged(answer.outcome())


def dynamics(lead: Lead, target: Target) -> Exchange:
    """Upsert by an alternate key, which the table has to have.

    https://learn.microsoft.com/power-apps/developer/data-platform/use-upsert-insert-update-record
    """
    fields = fields_of(
        lead,
        target,
        {
            "subject": FieldRule(path="brief.why_now.summary", form=Form.TEXT),
            "firstname": "person.first_name",
            "lastname": "person.last_name",
            "companyname": "contact.company",
            "emailaddress1": "contact.email",
            "jobtitle": "brief.who.title",
            "telephone1": "brief.who.phone",
            "description": "brief.text",
        },
    )
    if "subject" in fields:
        fields["subject"] = str(fields["subject"])[:300]  # as long as its column
    key = f"{setting(target, 'key')}='{quote(lead['contact']['id'], safe='')}'"
    path = f"/api/data/{setting(target, 'version')}/{setting(target, 'entity')}({key})"
    answer = yield ask(target, "PATCH", path, fields)
    return Judged(answer.outcome())


def zoho(lead: Lead, target: Target) -> Exchange:
    """Upsert with fields that tell duplicates; each record has its own status in the answer.

    https://www.zoho.com/crm/developer/docs/api/v8/upsert-records.html
    """
    fields = fields_of(
        lead,
        target,
        {
            "Last_Name": "person.last_name",
            "First_Name": "person.first_name",
            "Company": FieldRule(path="contact.company", default="Unknown"),
            "Email": "contact.email",
            "Designation": "brief.who.title",
            "Phone": "brief.who.phone",
            "Lead_Source": FieldRule(const="Tandem"),
            "Description": "brief.text",
        },
    )
    told_by = [name.strip() for name in setting(target, "duplicate_check").split(",")]
    path = f"/crm/{setting(target, 'version')}/{setting(target, 'module')}/upsert"
    answer = yield ask(target, "POST", path, {"data": [fields], "duplicate_check_fields": told_by})
    if answer.outcome() is not Outcome.DELIVERED:
        return Judged(answer.outcome())
    records = (answer.json() or {}).get("data") or [{}]
    code = records[0].get("code", "")
    if records[0].get("status") == "success" or code == "SUCCESS":
        return Judged(Outcome.DELIVERED)
    return Judged(Outcome.REFUSED, f"Zoho took the request and not the record: {code or 'it says nothing of it'}.")


def attio(lead: Lead, target: Target) -> Exchange:
    """Assert a record by an attribute that is unique.

    https://docs.attio.com/rest-api/endpoint-reference/records/assert-a-record
    """
    fields = fields_of(
        lead,
        target,
        {
            "email_addresses": "contact.email && [contact.email]",
            "name": "contact.name && [{first_name: person.first_name, last_name: person.last_name,"
            " full_name: contact.name}]",
            "job_title": "brief.who.title && [brief.who.title]",
            "phone_numbers": "brief.who.phone && [brief.who.phone]",
        },
    )
    match = setting(target, "match")
    if not fields.get(match):
        raise ValueError(f"the contact has no {match}, which Attio is to know it by; set match to another.")
    path = f"/v2/objects/{setting(target, 'object')}/records?matching_attribute={quote(match, safe='')}"
    values = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    answer = yield ask(target, "PUT", path, {"data": {"values": values}})
    return Judged(answer.outcome())


class Generic:
    """Any JSON API: a body by the endpoint's mapping, or the message as it is."""

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:  # noqa: ARG002
        """Write what the mapping makes."""
        lead = read_lead(message, target)
        if lead is None:
            return NOTHING_TO_TELL
        body = fields_of(lead, target, {})
        headers = {"webhook-id": message.id, "idempotency-key": message.id}
        answer = yield Request(
            method=setting(target, "method"),
            url=target.url,
            headers={**JSON_HEADERS, **headers, **target.headers},
            body=msgspec.json.encode(body),
        )
        return Judged(answer.outcome())


def _hubspot_version(version: str) -> str:
    """Return the path of a version: `v3` is `v3/objects`, and versions by date are `objects/2026-03`."""
    return f"{version}/objects" if version.startswith("v") else f"objects/{version}"


def _of_batch(answer: Answer) -> Judged:
    body = answer.json()
    if not isinstance(body, dict):
        return Judged(Outcome.BROKEN, "HubSpot's answer is not JSON, or longer than what is read of it.")
    if body.get("numErrors") or body.get("errors"):
        first = (body.get("errors") or [{}])[0]
        return Judged(Outcome.REFUSED, f"HubSpot took the request and not the record: {first.get('message', '')}"[:500])
    return Judged(Outcome.DELIVERED)
