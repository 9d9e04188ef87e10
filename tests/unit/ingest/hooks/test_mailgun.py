"""Mailgun's webhooks."""

import json
from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.mailgun import WINDOW
from services.ingest.intake.hooks.providers import Provider
from tests.unit.ingest.hooks.hooking import event_in, instant, reason_in, refused, verify

# The time and token of a real event and the key, from django-anymail's tests/test_mailgun_webhooks.py; no vector with a
# known key is published, so the signature is `openssl dgst -sha256 -hmac` of both, as Mailgun's documentation says.
SECRET = "TEST_WEBHOOK_SIGNING_KEY"
SIGNATURE = {
    "timestamp": "1534108637",
    "token": "651869375b9df3c98fc15c4889b102119add1235c38fc92824",
    "signature": "2a75affe24846ead9e37e614a5e7643a04abf4d5b49b34d224ede9af23a00ccc",
}
SENT = instant(1534108637)


def hook(event: str, *, signature: Any = SIGNATURE, **more: Any) -> bytes:
    """Return an event as Mailgun sends it, after the real one in django-anymail's tests."""
    data = {
        "event": event,
        "id": "hTWCTD81RtiDN-x",
        "timestamp": 1534108637.153125,
        "recipient": "Recipient@example.com",
        "recipient-domain": "example.com",
        "tags": [],
        "campaigns": [],
        "user-variables": {},
        "log-level": "info",
        "message": {
            "headers": {
                "to": "recipient@example.com",
                "message-id": "20180812211713.1.DF5966851B4BAA99@example.org",
                "from": "test@example.org",
                "subject": "Testing",
            },
            "attachments": [],
            "size": 809,
        },
        **more,
    }
    return json.dumps({"signature": signature, "event-data": data}).encode()


def test_a_signature() -> None:
    """It verifies, also while the key is being replaced, and until Mailgun's last try."""
    verify(Provider.MAILGUN, hook("delivered"), {}, SECRET, at=SENT)
    verify(Provider.MAILGUN, hook("delivered"), {}, "new", SECRET, at=SENT + WINDOW)
    verify(Provider.MAILGUN, hook("delivered") + b"\r\n", {}, SECRET, at=SENT)


@pytest.mark.parametrize("part", ["timestamp", "token", "signature"])
def test_a_changed_signature(part: str) -> None:
    """What is signed are time and token; a changed byte of either is found."""
    changed = {**SIGNATURE, part: SIGNATURE[part][:-1] + "1"}

    assert "does not match" in refused(Provider.MAILGUN, hook("delivered", signature=changed), {}, SECRET, at=SENT)


def test_what_is_not_proven() -> None:
    """Another key, no signature, one that is no text, and a body that is none of Mailgun's."""
    assert "does not match" in refused(Provider.MAILGUN, hook("delivered"), {}, "other", at=SENT)
    for body in (
        b'{"event-data": {"event": "delivered"}}',
        b'{"signature": {"timestamp": 5}}',
        b"event=delivered",
        b"",
    ):
        assert "no signature" in refused(Provider.MAILGUN, body, {}, SECRET, at=SENT)


@pytest.mark.parametrize("late", [WINDOW + timedelta(seconds=1), -timedelta(minutes=6)])
def test_a_time_that_is_stale(late: timedelta) -> None:
    """Too long ago, or ahead of any clock."""
    assert "signed at" in refused(Provider.MAILGUN, hook("delivered"), {}, SECRET, at=SENT + late)


def test_a_retry_of_the_last_hour() -> None:
    """Mailgun tries again after up to eight hours; were it stamped with the first time, it would still be taken."""
    verify(Provider.MAILGUN, hook("delivered"), {}, SECRET, at=SENT + timedelta(hours=8))


KINDS: list[tuple[str, dict[str, Any], str]] = [
    ("accepted", {}, "Email Sent"),
    ("rejected", {}, "Email Dropped"),
    ("delivered", {}, "Email Delivered"),
    ("failed", {"severity": "permanent", "reason": "bounce"}, "Email Bounced"),
    ("failed", {"severity": "temporary", "reason": "generic"}, "Email Deferred"),
    ("opened", {}, "Email Opened"),
    ("clicked", {"url": "https://acme.example/pricing"}, "Email Link Clicked"),
    ("unsubscribed", {}, "Unsubscribed"),
    ("complained", {}, "Email Marked as Spam"),
    ("stored", {}, "Email Stored"),
]


@pytest.mark.parametrize(("kind", "more", "name"), KINDS)
def test_every_kind_of_event(kind: str, more: dict[str, Any], name: str) -> None:
    """Each has its name in Segment's vocabulary, or one in its manner."""
    event = event_in(Provider.MAILGUN, hook(kind, **more))

    assert event.name == name
    assert event.names == Names(email="recipient@example.com")
    assert event.occurred_at == instant(1534108637.153125)


def test_a_click() -> None:
    """It says on what, in which mail, by which browser; the sender's own variables are kept."""
    event = event_in(
        Provider.MAILGUN,
        hook(
            "clicked",
            url="https://acme.example/pricing",
            **{
                "client-info": {"client-type": "browser", "user-agent": "Mozilla/5.0 (X11)", "bot": ""},
                "user-variables": {"user_id": 7, "plan": "gold"},
                "campaigns": [{"id": "c1", "name": "Spring"}],
            },
        ),
    )

    assert event.names == Names(email="recipient@example.com", user="7")
    assert event.user_agent == "Mozilla/5.0 (X11)"
    assert event.properties == {
        "user_id": 7,
        "plan": "gold",
        "email_id": "20180812211713.1.DF5966851B4BAA99@example.org",
        "email_subject": "Testing",
        "link_url": "https://acme.example/pricing",
        "campaign_id": "c1",
        "campaign_name": "Spring",
    }


def test_an_open_by_a_machine() -> None:
    """Mailgun names the machine; the event says that there was one."""
    opened = event_in(Provider.MAILGUN, hook("opened", **{"client-info": {"bot": "apple"}}))

    assert opened.properties["prefetched"] is True


def test_a_retry_with_a_new_signature() -> None:
    """The id is that of the event, so it does not matter whether Mailgun signs a retry anew."""
    again = {**SIGNATURE, "token": "another", "timestamp": "1534109000"}

    assert (
        event_in(Provider.MAILGUN, hook("opened")).message_id
        == event_in(Provider.MAILGUN, hook("opened", signature=again)).message_id
        == "hTWCTD81RtiDN-x/1534108637.153125"
    )


def test_an_event_without_a_recipient() -> None:
    """It names nobody and is kept with this reason."""
    assert reason_in(Provider.MAILGUN, hook("delivered", recipient="")) is Reason.NO_IDENTIFIER
    assert reason_in(Provider.MAILGUN, b"{}") is Reason.NO_IDENTIFIER
