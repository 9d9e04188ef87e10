"""Mailchimp's webhooks: of audiences, and those of Mailchimp Transactional (Mandrill)."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.hooks.providers import Provider
from shared.events.touch import TouchType
from tests.unit.ingest.hooks.hooking import event_in, instant, read_hook, reason_in, refused, verify

FORM = "application/x-www-form-urlencoded"


def audience(kind: str, **data: str) -> bytes:
    fields = {"type": kind, "fired_at": "2026-02-28 15:30:00", "data[list_id]": "a6b5da1054"}
    return urlencode({**fields, **{f"data[{key}]".replace("__", "]["): value for key, value in data.items()}}).encode()


PERSON = {
    "id": "8a25ff1d98",
    "email": "Ada@Acme.example",
    "email_type": "html",
    "ip_opt": "192.168.1.100",
    "merges__EMAIL": "Ada@Acme.example",
    "merges__FNAME": "Ada",
    "merges__LNAME": "",
    "merges__COMPANY": "Acme",
    "merges__INTERESTS": "Group1,Group2",
}

KINDS: list[tuple[str, dict[str, str], str]] = [
    ("subscribe", PERSON, "Resubscribed"),
    ("unsubscribe", {**PERSON, "action": "unsub", "reason": "manual"}, "Unsubscribed"),
    ("cleaned", {"email": "Ada@Acme.example", "reason": "hard", "campaign_id": "4f"}, "Email Bounced"),
    ("cleaned", {"email": "Ada@Acme.example", "reason": "abuse", "campaign_id": "4f"}, "Email Marked as Spam"),
    ("something", {"email": "Ada@Acme.example"}, "Mailchimp Something"),
]


@pytest.mark.parametrize(("kind", "data", "name"), KINDS)
def test_every_kind_of_event(kind: str, data: dict[str, str], name: str) -> None:
    """Each has its name in Segment's vocabulary; its time is UTC."""
    event = event_in(Provider.MAILCHIMP, audience(kind, **data), content_type=FORM)

    assert (event.type, event.name) == (TouchType.TRACK, name)
    assert event.names == Names(email="ada@acme.example")
    assert event.occurred_at == instant(1772292600)
    assert event.properties["list_id"] == "a6b5da1054"


def test_a_changed_profile() -> None:
    """It tells who the contact is, under Segment's names where there are some."""
    event = event_in(Provider.MAILCHIMP, audience("profile", **PERSON), content_type=FORM)

    assert event.type is TouchType.IDENTIFY
    assert event.traits == {"firstName": "Ada", "company": "Acme", "INTERESTS": "Group1,Group2"}


def test_a_changed_address() -> None:
    """The new one counts; the old one is kept as a trait."""
    event = event_in(
        Provider.MAILCHIMP, audience("upemail", new_email="new@acme.example", old_email="old@acme.example")
    )

    assert (event.type, event.names) == (TouchType.IDENTIFY, Names(email="new@acme.example"))
    assert event.traits == {"previous_email": "old@acme.example"}


def test_a_campaign() -> None:
    """It is about no contact and is kept as skipped, with its bytes."""
    body = audience("campaign", id="4f", subject="News", status="sent")
    (rejection,) = read_hook(Provider.MAILCHIMP, body, content_type=FORM)

    assert isinstance(rejection, Rejection)
    assert (rejection.reason, rejection.original) == (Reason.SKIPPED, body)


def test_the_body_is_the_id() -> None:
    """Mailchimp gives none: the same form is the same event, another one is another."""
    one, two = audience("unsubscribe", **PERSON), audience("profile", **PERSON)

    assert event_in(Provider.MAILCHIMP, one).message_id == event_in(Provider.MAILCHIMP, one).message_id
    assert event_in(Provider.MAILCHIMP, one).message_id != event_in(Provider.MAILCHIMP, two).message_id


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", Reason.WRONG_TYPE),
        (b"%ff=1", Reason.WRONG_TYPE),
        (b"a=%00", Reason.NUL_CHARACTER),
        (b"a" + b"[b]" * 20 + b"=1", Reason.TOO_DEEP),
        (b"&".join([b"a=1"] * 2_001), Reason.WRONG_TYPE),
        (b"type=profile&data[merges]=x&data[merges][EMAIL]=y", Reason.NO_IDENTIFIER),
        (b'{"type": "profile"}', Reason.NO_IDENTIFIER),
    ],
)
def test_forms_that_are_none(body: bytes, reason: Reason) -> None:
    """Each is kept with its reason."""
    assert reason_in(Provider.MAILCHIMP, body, content_type=FORM) is reason


# The key of django-anymail's tests/test_mandrill_webhooks.py; no vector is published, so the signature is
# `openssl dgst -sha1 -hmac` of the address, `mandrill_events` and its value, as Mailchimp's documentation says.
SECRET = "TEST_WEBHOOK_KEY"
URL = "https://tandem.example/v1/hooks/mandrill/shop"
BODY = b"mandrill_events=%5B%7B%22event%22%3A%22send%22%7D%5D"
SIGNED = {"X-Mandrill-Signature": "DnP7QRniPtapNVSWB/H9417KggA="}


def test_a_signature_of_mandrill() -> None:
    """It verifies, also while the key is being replaced."""
    verify(Provider.MANDRILL, BODY, SIGNED, SECRET, url=URL)
    verify(Provider.MANDRILL, BODY, SIGNED, "new", SECRET, url=URL)


def test_what_is_not_proven_by_mandrill() -> None:
    """Another key, a changed byte, a field more, a line end more, another address, no signature, no form."""
    assert "does not match" in refused(Provider.MANDRILL, BODY, SIGNED, "other", url=URL)
    assert "does not match" in refused(Provider.MANDRILL, BODY.replace(b"send", b"sent"), SIGNED, SECRET, url=URL)
    assert "does not match" in refused(Provider.MANDRILL, BODY + b"&a=1", SIGNED, SECRET, url=URL)
    assert "does not match" in refused(Provider.MANDRILL, BODY + b"\r\n", SIGNED, SECRET, url=URL)
    assert "does not match" in refused(Provider.MANDRILL, BODY, SIGNED, SECRET, url=f"{URL}/")
    assert "no header" in refused(Provider.MANDRILL, BODY, {}, SECRET, url=URL)
    assert "not a form" in refused(Provider.MANDRILL, b"", SIGNED, SECRET, url=URL)


def mail(kind: str, **more: Any) -> dict[str, Any]:
    """Return an event as Mandrill sends it, after those in django-anymail's tests."""
    message = {
        "ts": 1461095211,
        "subject": "Webhook Test",
        "email": "Recipient@example.com",
        "sender": "sender@example.com",
        "tags": ["tag1"],
        "metadata": {"user_id": "7"},
        "_id": "abcdef012345789abcdef012345789",
    }
    return {"event": kind, "msg": message, "_id": "abcdef012345789abcdef012345789", "ts": 1461095246, **more}


def form(*events: Any) -> bytes:
    return urlencode({"mandrill_events": json.dumps(events)}).encode()


MANDRILL_KINDS = {
    "send": "Email Sent",
    "deferral": "Email Deferred",
    "delivered": "Email Delivered",
    "hard_bounce": "Email Bounced",
    "soft_bounce": "Email Bounced",
    "reject": "Email Dropped",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "spam": "Email Marked as Spam",
    "unsub": "Unsubscribed",
}


def test_every_kind_of_event_of_mandrill() -> None:
    """Each has its name in Segment's vocabulary and an id of its own, though they share that of the mail."""
    events = read_hook(Provider.MANDRILL, form(*map(mail, MANDRILL_KINDS)), content_type=FORM)
    understood = [event for event in events if isinstance(event, Event)]

    assert [event.name for event in understood] == list(MANDRILL_KINDS.values())
    assert len({event.message_id for event in understood}) == len(MANDRILL_KINDS)
    assert {event.names for event in understood} == {Names(email="recipient@example.com", user="7")}
    assert {event.occurred_at for event in understood} == {instant(1461095246)}


def test_a_click_of_mandrill() -> None:
    """It says on what, in which mail, by which browser."""
    event = event_in(
        Provider.MANDRILL, form(mail("click", url="http://example.com", user_agent="Mozilla/5.0")), content_type=FORM
    )

    assert event.user_agent == "Mozilla/5.0"
    assert event.properties["link_url"] == "http://example.com"
    assert event.properties["email_id"] == "abcdef012345789abcdef012345789"


def test_what_mandrill_tells_of_nobody() -> None:
    """Changes of a list are kept as skipped; one that was set aside is read again as it is."""
    sync = {"type": "blacklist", "action": "add", "reject": {"email": "recipient@example.com"}}
    items = read_hook(Provider.MANDRILL, form(sync, mail("open")), content_type=FORM)

    assert isinstance(items[0], Rejection)
    assert items[0].reason is Reason.SKIPPED
    assert isinstance(items[1], Event)
    assert reason_in(Provider.MANDRILL, items[0].original) is Reason.SKIPPED


@pytest.mark.parametrize("body", [b"other=1", b"mandrill_events=GARBAGE", b""])
def test_forms_that_are_none_of_mandrill(body: bytes) -> None:
    """They are kept with a reason."""
    assert reason_in(Provider.MANDRILL, body, content_type=FORM) in {
        Reason.WRONG_TYPE,
        Reason.INVALID_JSON,
    }
