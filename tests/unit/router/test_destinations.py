"""Destinations: the requests as each system documents them, and the answers as it really gives them."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from services.router.domain.destination import Answer, Judged, Request, Target
from services.router.domain.destinations.choosing import DESTINATIONS
from services.router.domain.erasure import render_contact_erased
from services.router.domain.kind import TERMS, Kind
from services.router.domain.mapping import FieldRule
from services.router.domain.outcome import Outcome
from services.router.domain.webhook import Message
from shared.events.contact import ContactErased
from tests.support.handoffs import given_to_priya, make_handoff

CONTACT, HANDOFF = UUID(int=7), UUID(int=9)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
WRITING = [kind for kind in Kind if TERMS[kind].mapped]


def target(kind: Kind, **options: Any) -> Target:
    """Return an endpoint of the kind."""
    values: dict[str, Any] = {
        "name": "crm",
        "revision": 1,
        "url": "https://crm.example/",
        "secret": "whsec_" + "A" * 32,
        "retired": (),
        "headers": {"authorization": "Bearer key"},
        "oauth2": None,
        "mtls": None,
        "retries": None,
        "settings": {"key": "tandem_id"} if kind is Kind.DYNAMICS else {},
    }
    return Target(**{**values, "kind": kind, **options})


def lead(**known: Any) -> Message:
    """Return the message of a lead."""
    handoff = make_handoff(contact_id=CONTACT, handoff_id=HANDOFF, **known)
    return given_to_priya(handoff)


def answer(status: int, body: object = b"", **headers: str) -> Answer:
    """Return an answer; what is no bytes becomes JSON."""
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, written)


def converse(
    kind: Kind, *answers: Answer, message: Message | None = None, **options: Any
) -> tuple[list[Request], Judged]:
    """Hold the exchange with these answers; return what was sent and what it came to."""
    exchange = DESTINATIONS[kind].exchange(message or lead(), target(kind, **options), at=NOW, traceparent=None)
    sent = []
    script = iter(answers)
    try:
        sent.append(next(exchange))
        while True:
            sent.append(exchange.send(next(script)))
    except StopIteration as end:
        judged: Judged = end.value
        assert next(script, None) is None, "every answer was asked for"
        return sent, judged


def test_every_kind_has_its_destination() -> None:
    """The table is total."""
    assert DESTINATIONS.keys() == TERMS.keys() == set(Kind)


@pytest.mark.parametrize(
    ("kind", "method", "path", "body"),
    [
        (
            Kind.SALESFORCE,
            "PATCH",
            f"/services/data/v62.0/sobjects/Lead/Tandem_Id__c/{CONTACT}",
            {"LastName": "Byrne", "FirstName": "Ada", "Company": "Acme Freight", "Email": "ada@acme-freight.example"},
        ),
        (
            Kind.DYNAMICS,
            "PATCH",
            f"/api/data/v9.2/leads(tandem_id='{CONTACT}')",
            {"lastname": "Byrne", "emailaddress1": "ada@acme-freight.example", "jobtitle": "Director of Operations"},
        ),
    ],
)
def test_an_upsert_by_our_key(kind: Kind, method: str, path: str, body: dict[str, Any]) -> None:
    """The key stands in the URL: writing the same lead again writes the same record."""
    (request,), judged = converse(kind, answer(204))
    written = json.loads(request.body)

    assert (request.method, request.url) == (method, f"https://crm.example{path}")
    assert body.items() <= written.items()
    assert request.headers["authorization"] == "Bearer key"
    assert judged.outcome is Outcome.DELIVERED


def test_an_upsert_in_hubspot() -> None:
    """A batch of one, by the address, or by a property of ours that is unique."""
    (request,), _ = converse(Kind.HUBSPOT, answer(200, {"status": "COMPLETE", "results": [{}]}))
    (record,) = json.loads(request.body)["inputs"]
    (by_id,), _ = converse(Kind.HUBSPOT, answer(200, {}), settings={"id_property": "tandem_id", "version": "v3"})

    assert request.url == "https://crm.example/crm/objects/2026-03/contacts/batch/upsert"
    assert (record["id"], record["idProperty"]) == ("ada@acme-freight.example", "email")
    assert record["properties"]["firstname"] == "Ada"
    assert by_id.url == "https://crm.example/crm/v3/objects/contacts/batch/upsert"
    (record,) = json.loads(by_id.body)["inputs"]
    assert record["id"] == record["properties"]["tandem_id"] == str(CONTACT)


def test_an_upsert_in_zoho_and_attio() -> None:
    """Zoho is told which fields tell duplicates; Attio's values are lists."""
    (zoho,), _ = converse(Kind.ZOHO, answer(200, {"data": [{"status": "success", "code": "SUCCESS"}]}))
    (attio,), _ = converse(Kind.ATTIO, answer(200, {}))

    assert json.loads(zoho.body)["duplicate_check_fields"] == ["Email"]
    assert json.loads(zoho.body)["data"][0]["Last_Name"] == "Byrne"
    assert (attio.method, attio.url) == (
        "PUT",
        "https://crm.example/v2/objects/people/records?matching_attribute=email_addresses",
    )
    assert json.loads(attio.body)["data"]["values"]["email_addresses"] == ["ada@acme-freight.example"]


@pytest.mark.parametrize(
    ("kind", "answered", "outcome"),
    [
        (Kind.SALESFORCE, answer(201), Outcome.DELIVERED),
        (Kind.SALESFORCE, answer(300, ["/services/data/v62.0/sobjects/Lead/1"]), Outcome.REFUSED),
        (Kind.SALESFORCE, answer(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]), Outcome.THROTTLED),
        (Kind.SALESFORCE, answer(403, [{"errorCode": "INSUFFICIENT_ACCESS"}]), Outcome.REFUSED),
        (Kind.SALESFORCE, answer(400, [{"errorCode": "DUPLICATES_DETECTED"}]), Outcome.REFUSED),
        (Kind.HUBSPOT, answer(207, {"numErrors": 1, "errors": [{"message": "no such property"}]}), Outcome.REFUSED),
        (Kind.HUBSPOT, answer(200, b"<html>"), Outcome.BROKEN),
        (Kind.HUBSPOT, answer(429, b"", retry_after="10"), Outcome.THROTTLED),
        (Kind.ZOHO, answer(202, {"data": [{"status": "error", "code": "MANDATORY_NOT_FOUND"}]}), Outcome.REFUSED),
        (Kind.ZOHO, answer(200, b""), Outcome.REFUSED),
        (Kind.ZOHO, answer(500), Outcome.SERVER_ERROR),
        (Kind.DYNAMICS, answer(429, b"", retry_after="30"), Outcome.THROTTLED),
        (Kind.DYNAMICS, answer(412), Outcome.REFUSED),
        (Kind.ATTIO, answer(400, {"code": "validation_type"}), Outcome.REFUSED),
        (Kind.SLACK, answer(200, b"ok"), Outcome.DELIVERED),
        (Kind.SLACK, answer(200, b"<html>sign in"), Outcome.REFUSED),
        (Kind.SLACK, answer(410, b"channel_is_archived"), Outcome.GONE),
        (Kind.SLACK, answer(404, b"no_service"), Outcome.REFUSED),
        (Kind.TEAMS, answer(200, b"1"), Outcome.DELIVERED),
        (Kind.TEAMS, answer(202), Outcome.DELIVERED),
        (
            Kind.TEAMS,
            answer(
                200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
            ),
            Outcome.THROTTLED,
        ),
        (Kind.TEAMS, answer(200, b"Microsoft Teams endpoint returned HTTP error 413"), Outcome.REFUSED),
        (Kind.GENERIC, answer(302), Outcome.REDIRECTED),
    ],
)
def test_what_an_answer_amounts_to(kind: Kind, answered: Answer, outcome: Outcome) -> None:
    """Success is what the system means by it: several say 200 to what they did not take."""
    assert converse(kind, answered)[1].outcome is outcome


def test_a_new_person_in_pipedrive() -> None:
    """Search, person, lead: each with what the one before told."""
    sent, judged = converse(
        Kind.PIPEDRIVE,
        answer(200, {"success": True, "data": {"items": []}}),
        answer(201, {"success": True, "data": {"id": 42}}),
        answer(201, {"success": True, "data": {"id": "a-lead"}}),
    )

    assert [(request.method, request.url.split("?")[0].rpartition("/")[2]) for request in sent] == [
        ("GET", "search"),
        ("POST", "persons"),
        ("POST", "leads"),
    ]
    written = json.loads(sent[2].body)
    assert (written["person_id"], written["origin_id"]) == (42, str(HANDOFF))
    assert judged.outcome is Outcome.DELIVERED


def test_a_lead_in_pipedrive_whose_answer_was_lost() -> None:
    """The attempt after it finds the lead and makes no second one."""
    found = {"success": True, "data": {"items": [{"item": {"id": 42}}]}}
    sent, judged = converse(
        Kind.PIPEDRIVE,
        answer(200, found),
        answer(200, {"success": True, "data": [{"origin_id": "other"}, {"origin_id": str(HANDOFF)}]}),
    )

    assert [request.method for request in sent] == ["GET", "GET"]
    assert judged.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([answer(429)], Outcome.THROTTLED),
        ([answer(200, {"success": False, "error": "Scope and URL mismatch"})], Outcome.REFUSED),
        ([answer(200, b"not JSON")], Outcome.BROKEN),
        ([answer(200, {"success": True, "data": {"items": []}}), answer(400, {"success": False})], Outcome.REFUSED),
    ],
)
def test_a_step_that_fails(answers: list[Answer], outcome: Outcome) -> None:
    """What comes after it is not tried."""
    assert converse(Kind.PIPEDRIVE, *answers)[1].outcome is outcome


def test_a_lead_in_close() -> None:
    """Found by its address and changed, or made; and the pause that Close asks for is heard."""
    made, _ = converse(Kind.CLOSE, answer(200, {"data": []}), answer(200, {"id": "lead_1"}))
    changed, _ = converse(Kind.CLOSE, answer(200, {"data": [{"id": "lead_1"}]}), answer(200, {}))
    _, throttled = converse(Kind.CLOSE, answer(429, b"", ratelimit="limit=100, remaining=0, reset=5"))

    assert [request.method for request in made] == ["GET", "POST"]
    assert json.loads(made[1].body)["contacts"][0]["emails"][0]["email"] == "ada@acme-freight.example"
    assert (changed[1].method, changed[1].url) == ("PUT", "https://crm.example/api/v1/lead/lead_1/")
    assert (throttled.outcome, throttled.retry_after) == (Outcome.THROTTLED, "5")


def test_what_no_key_protects() -> None:
    """A request that could make somebody a second time says so; no other does."""
    nobody = {"success": True, "data": {"items": []}}
    person, _ = converse(Kind.PIPEDRIVE, answer(200, nobody), answer(201, PERSON), answer(201, LEAD_MADE))
    lead_made, _ = converse(Kind.CLOSE, answer(200, {"data": []}), answer(200, {"id": "lead_1"}))

    assert [request.makes for request in person] == [None, "person", None]
    assert [request.makes for request in lead_made] == [None, "lead"]


PERSON = {"success": True, "data": {"id": 42}}
LEADS: dict[str, Any] = {"success": True, "data": []}
LEAD_MADE = {"success": True, "data": {"id": "lead_7"}}
MADE = f"lead {HANDOFF}"


def learned(sent: list[Request], judged: Judged) -> dict[str, str | None]:
    """Return what was learned in all."""
    told = [*(request.learned for request in sent), judged.learned]
    return {name: value for each in told for name, value in each.items()}


def test_what_an_exchange_teaches() -> None:
    """Each id is told with the request that follows its answer, so that it is kept before anything else may fail."""
    nobody = {"success": True, "data": {"items": []}}
    sent, judged = converse(Kind.PIPEDRIVE, answer(200, nobody), answer(201, PERSON), answer(201, LEAD_MADE))

    assert sent[2].learned == {"person": "42"}
    assert learned(sent, judged) == {"person": "42", MADE: "lead_7"}


def test_a_person_that_is_known() -> None:
    """Nobody is searched for; the lead is looked for among theirs, since an answer may have been lost."""
    sent, judged = converse(Kind.PIPEDRIVE, answer(200, LEADS), answer(201, LEAD_MADE), known={"person": "42"})

    assert [(request.method, request.url.partition("?")[0][19:]) for request in sent] == [
        ("GET", "/api/v1/leads"),
        ("POST", "/api/v1/leads"),
    ]
    assert json.loads(sent[1].body)["person_id"] == 42
    assert (judged.outcome, learned(sent, judged)) == (Outcome.DELIVERED, {MADE: "lead_7"})


def test_a_lead_that_is_known() -> None:
    """It is made once: an attempt after the one that made it only looks whether it is still there."""
    sent, judged = converse(Kind.PIPEDRIVE, answer(200, LEAD_MADE), known={"person": "42", MADE: "lead_7"})

    assert [request.method for request in sent] == ["GET"]
    assert judged.outcome is Outcome.DELIVERED


def test_records_that_are_not_there_any_more() -> None:
    """What was deleted or merged there is forgotten, looked for again, and made again."""
    known = {"person": "42", MADE: "lead_7"}
    found = {"success": True, "data": {"items": [{"item": {"id": 43}}]}}
    sent, judged = converse(
        Kind.PIPEDRIVE,
        *(answer(404), answer(200, LEADS), answer(400, {"success": False})),  # neither the lead nor the person
        *(answer(200, found), answer(200, LEADS), answer(201, {"success": True, "data": {"id": "lead_8"}})),
        known=known,
    )

    assert sent[3].learned == {"person": None, MADE: None}
    assert json.loads(sent[5].body)["person_id"] == 43
    assert learned(sent, judged) == {"person": "43", MADE: "lead_8"}


@pytest.mark.parametrize("status", [429, 500, 401])
def test_a_known_record_at_a_bad_moment(status: int) -> None:
    """A failure that says nothing about the record forgets nothing and makes nothing."""
    refused = status == 401
    for kind, known in ((Kind.PIPEDRIVE, {MADE: "lead_7"}), (Kind.CLOSE, {"lead": "lead_7"})):
        sent, judged = converse(kind, answer(status), known=known)

        assert len(sent) == 1
        assert learned(sent, judged) == {}
        assert (judged.outcome is Outcome.REFUSED) == refused
        assert judged.outcome is not Outcome.DELIVERED


def test_a_lead_in_close_that_is_known() -> None:
    """It is changed without a search, and looked for again when it is not there."""
    known = {"lead": "lead_7"}
    changed, _ = converse(Kind.CLOSE, answer(200), known=known)
    again, judged = converse(Kind.CLOSE, answer(404), answer(200, {"data": [{"id": "x"}]}), answer(200), known=known)

    assert [(request.method, request.url[19:]) for request in changed] == [("PUT", "/api/v1/lead/lead_7/")]
    assert again[1].learned == {"lead": None}
    assert learned(again, judged) == {"lead": "x"}


@pytest.mark.parametrize("kind", WRITING)
def test_an_erasure_is_for_people(kind: Kind) -> None:
    """No record of a customer is deleted by us; the delivery fails and says which contact it is about."""
    erased = ContactErased(id=UUID(int=1), contact_ids=(CONTACT,), at=NOW)
    message = render_contact_erased(erased, CONTACT, endpoint="crm", handoffs=[HANDOFF])

    with pytest.raises(ValueError, match=f"erase contact {CONTACT} there by hand"):
        converse(kind, message=message)


@pytest.mark.parametrize("kind", WRITING)
def test_a_message_that_is_about_no_lead(kind: Kind) -> None:
    """There is nothing to write, and nothing is sent."""
    message = Message(id="msg_1", body=b'{"type":"handoff.expired","timestamp":"2026-03-02T10:30:00Z","data":{}}')

    sent, judged = converse(kind, message=message)

    assert (sent, judged.outcome) == ([], Outcome.DELIVERED)


@pytest.mark.parametrize(
    ("traits", "first", "last"),
    [
        ({"name": "Ada Byrne Lovelace"}, "Ada Byrne", "Lovelace"),
        ({"name": "Ada"}, "", "Ada"),
        ({"firstName": "Ada", "last_name": "Byrne"}, "Ada", "Byrne"),
        ({}, "", "ada"),
    ],
)
def test_a_name_in_two_parts(traits: Mapping[str, Any], first: str, last: str) -> None:
    """The last one is never empty: without it a lead is refused."""
    (request,), _ = converse(Kind.SALESFORCE, answer(201), message=lead(traits={**traits}))
    written = json.loads(request.body)

    assert (written.get("FirstName", ""), written["LastName"]) == (first, last)


def test_a_mapping_of_ones_own() -> None:
    """It adds fields and replaces those that the kind writes by itself; the key of an upsert stays in the URL."""
    mapping = {
        "LastName": FieldRule(path="contact.name"),
        "Score__c": FieldRule(path="brief.engagement.score"),
        "Tandem_Id__c": FieldRule(path="contact.id"),
    }
    (request,), _ = converse(Kind.SALESFORCE, answer(201), mapping=mapping)
    written = json.loads(request.body)

    assert (written["LastName"], written["Score__c"]) == ("Ada Byrne", 71.5)
    assert "Tandem_Id__c" not in written


def test_a_template_of_ones_own() -> None:
    """The brief's text by the endpoint's template reaches every kind."""
    template = "{{ rep.name }}: {{ brief.who.name }} ({{ brief.engagement.score }})"
    (webhook,), _ = converse(Kind.WEBHOOK, answer(200), template=template)
    (salesforce,), _ = converse(Kind.SALESFORCE, answer(201), template=template)

    assert json.loads(webhook.body)["data"]["brief"]["text"] == "Priya Raman: Ada Byrne (71.5)"
    assert json.loads(salesforce.body)["Description"] == "Priya Raman: Ada Byrne (71.5)"


def test_without_an_address() -> None:
    """A system that knows people by their address is not guessed at."""
    nameless = lead(traits={})
    body = json.loads(nameless.body)
    body["data"]["contact"]["email"] = ""
    message = Message(id=nameless.id, body=json.dumps(body).encode())

    for kind in (Kind.HUBSPOT, Kind.ATTIO, Kind.PIPEDRIVE, Kind.CLOSE):
        with pytest.raises(ValueError, match="the contact has no e"):
            converse(kind, message=message)
