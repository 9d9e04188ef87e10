"""Webhooks of CRMs: each preset reads what its CRM sends, and nothing that is sent raises anything else."""

import hashlib
import hmac
from base64 import b64encode
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.answer import steps_to
from services.router.domain.crm_body import read_body
from services.router.domain.crm_mapping import PRESETS, CrmEvent, Proof, Taking, read_events, read_mapping
from services.router.domain.crm_proof import CrmRequest, verify
from services.router.domain.handoff import State, Step
from services.router.errors import CrmHookInvalid, CrmNotVerified, CrmUnreadable, IllegalStep
from tests.support.handoffs import DECIDED_AT

HANDOFF = "0d0c1bb5-6a6f-5a55-9f0e-1c2d3e4f5a6b"
SECRET = "what the CRM proves itself with"
SOAP = f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
 <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
  <OrganizationId>00D000000000001</OrganizationId>
  <Notification><Id>04l000000000001</Id>
   <sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
    <sf:Id>006000000000001</sf:Id><sf:StageName>Closed Won</sf:StageName><sf:Amount>1200.50</sf:Amount>
    <sf:CurrencyIsoCode>EUR</sf:CurrencyIsoCode><sf:Tandem_Handoff__c>{HANDOFF}</sf:Tandem_Handoff__c>
   </sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>"""


def read(preset: str, body: Any, content_type: str = "application/json", **more: Any) -> CrmEvent:
    """Read the only item of a webhook."""
    sent = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    (event,) = read_events(read_mapping({"preset": preset, **more}), read_body(sent, content_type))
    return event


@pytest.mark.parametrize(
    ("preset", "body", "content_type", "expected"),
    [
        (
            "salesforce",
            SOAP,
            "text/xml; charset=utf-8",
            ("04l000000000001", Step.WIN, None, Decimal("1200.50"), "EUR"),
        ),
        (
            "salesforce",
            {"Tandem_Handoff__c": HANDOFF, "Status": "working - contacted"},
            "application/json",
            ("", Step.ACCEPT, None, None, None),
        ),
        (
            "hubspot",
            {"tandem_handoff_id": HANDOFF, "hs_lead_status": "BAD_TIMING"},
            "application/json",
            ("", Step.REJECT, "bad_timing", None, None),
        ),
        (
            "hubspot",
            {
                "properties": {
                    "tandem_handoff_id": {"value": HANDOFF},
                    "dealstage": {"value": "closedwon"},
                    "amount": {"value": "99.9"},
                    "deal_currency_code": {"value": "USD"},
                }
            },
            "application/json",
            ("", Step.WIN, None, Decimal("99.9"), "USD"),
        ),
        (
            "pipedrive",
            {
                "meta": {"id": "e1", "entity": "deal"},
                "data": {"tandem_handoff_id": HANDOFF, "status": "lost", "lost_reason": "Price", "value": 5},
            },
            "application/json",
            ("e1", Step.LOSE, "Price", Decimal(5), None),
        ),
    ],
)
def test_presets(preset: str, body: Any, content_type: str, expected: tuple[Any, ...]) -> None:
    """Each finds the handoff, the step, and what was said of it."""
    event = read(preset, body, content_type)

    assert str(event.handoff_id) == HANDOFF
    assert event.taking is not None
    assert (event.id, event.taking.step, event.taking.reason, event.amount, event.currency) == expected


def test_what_is_declared() -> None:
    """It counts instead of the preset's."""
    event = read(
        "pipedrive",
        {"data": {"custom": {"x": HANDOFF}, "status": "Junk"}},
        handoff="data.custom.x",
        steps={"junk": {"step": "reject", "reason": "other"}},
    )

    assert str(event.handoff_id) == HANDOFF
    assert event.taking == Taking(Step.REJECT, reason="other")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "Declare `handoff`"),
        ({"preset": "siebel"}, "hubspot, salesforce, pipedrive"),
        ({"preset": "hubspot", "colour": "red"}, "colour"),
        ({"preset": "hubspot", "status": "a["}, "`status` is not JMESPath"),
        ({"preset": "hubspot", "steps": {"x": "expire"}}, "one of accept, reject"),
        ({"preset": "hubspot", "proof": {"kind": "hmac"}}, "`proof.header`"),
    ],
)
def test_a_mapping_that_is_wrong(document: dict[str, Any], message: str) -> None:
    """It is refused, and told what would be right."""
    with pytest.raises(CrmHookInvalid, match=message):
        read_mapping(document)


@given(
    st.sampled_from(sorted(PRESETS)),
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["properties", "data", "meta", "id", "status", "value"]), inner, max_size=3
            )
        ),
        max_leaves=10,
    ),
)
def test_any_body(preset: str, body: Any) -> None:
    """Whatever is sent is read as something, or refused as unreadable."""
    try:
        events = read_events(read_mapping({"preset": preset}), body)
    except CrmUnreadable:
        return
    assert all(isinstance(event, CrmEvent) for event in events)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[" * 5000, "application/json"),
        (b"\xff\xfe", "text/xml"),
        (b"<a", "text/xml"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "text/xml"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16"), "text/xml"),
    ],
)
def test_a_body_that_is_broken(body: bytes, content_type: str) -> None:
    """It is unreadable, and no document type is ever followed."""
    with pytest.raises(CrmUnreadable):
        read_body(body, content_type)


def request(body: bytes = b"{}", *, tokens: tuple[str, ...] = (), **headers: str) -> CrmRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CrmRequest("POST", ("https://t.example/v1/hooks/crm/crm",), named, tokens, body)


def test_proofs() -> None:
    """The secret, an HMAC in hexadecimal or base64, and HubSpot's signature are taken; nothing else is."""
    digest = hmac.digest(SECRET.encode(), b"{}", "sha256")
    stamp = str(int(DECIDED_AT.timestamp() * 1000))
    signed = f"POSThttps://t.example/v1/hooks/crm/crm{{}}{stamp}".encode()
    hubspot = b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    good = [
        (Proof(), request(tokens=("wrong", SECRET))),
        (Proof(kind="hmac", header="X-Sig", prefix="sha256="), request(x_sig=f"sha256={digest.hex()}")),
        (Proof(kind="hmac", header="X-Sig", encoding="base64"), request(x_sig=b64encode(digest).decode())),
        (Proof(kind="hubspot"), request(x_hubspot_request_timestamp=stamp, x_hubspot_signature_v3=hubspot)),
    ]
    for proof, sent in good:
        verify(proof, sent, SECRET, now=DECIDED_AT)
        for wrong in (request(), msgspec.structs.replace(sent, body=b"[]", tokens=("x",))):
            with pytest.raises(CrmNotVerified):
                verify(proof, wrong, SECRET, now=DECIDED_AT)
    with pytest.raises(CrmNotVerified):
        verify(*good[3], SECRET, now=DECIDED_AT + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("state", "step", "expected"),
    [
        (State.ASSIGNED, Step.WIN, (Step.ACCEPT, Step.QUALIFY, Step.WIN)),
        (State.ACCEPTED, Step.QUALIFY, (Step.QUALIFY,)),
        (State.REASSIGNED, Step.REJECT, (Step.REJECT, Step.RECYCLE)),
        (State.READY, Step.WIN, None),
        (State.LOST, Step.WIN, None),
        (State.QUALIFIED, Step.REJECT, None),
    ],
)
def test_the_way(state: State, step: Step, expected: tuple[Step, ...] | None) -> None:
    """A CRM tells where a lead is; the answers on the way are taken too, and no other."""
    if expected is None:
        with pytest.raises(IllegalStep):
            steps_to(state, step)
    else:
        assert steps_to(state, step) == expected
