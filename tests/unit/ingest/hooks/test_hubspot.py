"""HubSpot's webhooks."""

from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.hubspot import WINDOW
from services.ingest.intake.hooks.providers import Provider
from services.ingest.intake.hooks.signature import hmac_base64
from shared.events.touch import TouchType
from tests.unit.ingest.hooks.hooking import event_in, instant, reason_in, refused, verify

# The vector of hubspot-api-python, tests/spec/utils/test_signature.py, version 3.
SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
BODY = b"{'example_field':'example_value'}"
URL = "https://www.example.com/webhook_uri"
SIGNED = {
    "X-HubSpot-Signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
    "X-HubSpot-Request-Timestamp": "15000000",
}
SENT = instant(15_000)


def test_the_published_vector() -> None:
    """It verifies within five minutes, also while the secret is being replaced."""
    verify(Provider.HUBSPOT, BODY, SIGNED, SECRET, at=SENT, url=URL)
    verify(Provider.HUBSPOT, BODY, SIGNED, "new", SECRET, at=SENT + WINDOW, url=URL)


@pytest.mark.parametrize("signed", ["?key=a:b,c@d", "?key=a%3Ab%2cc%40d"])
def test_an_address_with_encoded_characters(signed: str) -> None:
    """HubSpot's documentation signs it decoded, its libraries as it is: both verify, another address does not."""
    given = hmac_base64(SECRET, b"POST", (URL + signed).encode(), BODY, b"15000000").decode()
    headers = {**SIGNED, "X-HubSpot-Signature-v3": given}

    verify(Provider.HUBSPOT, BODY, headers, SECRET, at=SENT, url=URL + "?key=a%3Ab%2cc%40d")
    assert "does not match" in refused(Provider.HUBSPOT, BODY, headers, SECRET, at=SENT, url=URL + "?key=a%20b")


def test_what_is_not_proven() -> None:
    """Another secret, a changed byte, another address, no signature, one of an older version."""
    older = {"X-HubSpot-Signature": "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"}

    assert "does not match" in refused(Provider.HUBSPOT, BODY, SIGNED, "other", at=SENT, url=URL)
    assert "does not match" in refused(Provider.HUBSPOT, BODY + b"\r\n", SIGNED, SECRET, at=SENT, url=URL)
    assert "does not match" in refused(Provider.HUBSPOT, BODY.replace(b"v", b"w"), SIGNED, SECRET, at=SENT, url=URL)
    assert "does not match" in refused(Provider.HUBSPOT, BODY, SIGNED, SECRET, at=SENT, url=URL + "/")
    assert "no header" in refused(Provider.HUBSPOT, BODY, {}, SECRET, at=SENT, url=URL)
    assert "no header" in refused(Provider.HUBSPOT, BODY, older, SECRET, at=SENT, url=URL)


@pytest.mark.parametrize("stamp", ["x", "", "1e400", "nan", "15000000000000000000"])
def test_a_time_that_is_none(stamp: str) -> None:
    """It is refused like a wrong signature."""
    headers = {**SIGNED, "X-HubSpot-Request-Timestamp": stamp}

    assert refused(Provider.HUBSPOT, BODY, headers, SECRET, at=SENT, url=URL)


@pytest.mark.parametrize("late", [WINDOW + timedelta(seconds=1), -timedelta(minutes=6)])
def test_a_time_that_is_stale(late: timedelta) -> None:
    """HubSpot wants it refused after five minutes."""
    assert "signed at" in refused(Provider.HUBSPOT, BODY, SIGNED, SECRET, at=SENT + late, url=URL)


def change(kind: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "eventId": 3816279340,
            "subscriptionId": 25,
            "portalId": 33,
            "appId": 1160452,
            "occurredAt": 1772358000000,
            "subscriptionType": kind,
            "attemptNumber": 0,
            "objectId": 1246965,
            "changeSource": "CRM",
            **more,
        }
    ]


def test_an_address() -> None:
    """It joins HubSpot's number to the address."""
    event = event_in(
        Provider.HUBSPOT, change("contact.propertyChange", propertyName="email", propertyValue="Ada@Acme.example")
    )

    assert event.type is TouchType.IDENTIFY
    assert event.names == Names(email="ada@acme.example", anonymous="hubspot:33:1246965")
    assert event.occurred_at == instant(1772358000)


@pytest.mark.parametrize("kind", ["contact.propertyChange", "object.propertyChange"])
def test_a_property(kind: str) -> None:
    """It becomes a trait under Segment's name where there is one; the newer subscriptions name the type apart."""
    more = {"objectTypeId": "0-1"} if kind.startswith("object") else {}
    event = event_in(Provider.HUBSPOT, change(kind, propertyName="jobtitle", propertyValue="VP Logistics", **more))

    assert event.traits == {"title": "VP Logistics"}
    assert event.names == Names(anonymous="hubspot:33:1246965")


def test_an_opt_out_in_hubspot() -> None:
    """The property that holds it becomes the trait that stops scoring."""
    event = event_in(
        Provider.HUBSPOT, change("contact.propertyChange", propertyName="hs_email_optout", propertyValue="true")
    )

    assert event.traits == {"hs_email_optout": "true", "unsubscribed": True}


def test_other_changes_of_a_contact() -> None:
    """A new contact is made known; one that asked to be forgotten is left alone; the rest is skipped."""
    assert event_in(Provider.HUBSPOT, change("contact.creation")).traits == {"hubspot_id": "1246965"}
    assert event_in(Provider.HUBSPOT, change("contact.privacyDeletion")).name == "Unsubscribed"
    for kind in ("contact.deletion", "contact.merge", "contact.associationChange", "contact"):
        assert reason_in(Provider.HUBSPOT, change(kind)) is Reason.SKIPPED


@pytest.mark.parametrize("kind", ["company.propertyChange", "deal.creation", "object.creation", "ticket.deletion", ""])
def test_other_objects(kind: str) -> None:
    """They are no contacts and are kept as skipped."""
    assert reason_in(Provider.HUBSPOT, change(kind, objectTypeId="0-2")) is Reason.SKIPPED


def test_a_retry() -> None:
    """The attempt is counted up and the id stays."""
    tries = [event_in(Provider.HUBSPOT, change("contact.creation", attemptNumber=number)) for number in (0, 7)]

    assert tries[0].message_id == tries[1].message_id == "3816279340/25/1246965/1772358000000"
