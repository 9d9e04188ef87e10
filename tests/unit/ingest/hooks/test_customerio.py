"""Customer.io's reporting webhooks."""

from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.customerio import WINDOW
from services.ingest.intake.hooks.providers import Provider
from tests.unit.ingest.hooks.hooking import event_in, instant, reason_in, refused, verify

# The vector of async-customerio, tests of validate_signature.
SECRET = "755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa"
SIGNED = {
    "X-CIO-Signature": "c097b83a7d57a0810625180a61213eab7e0389a54b33dd11c3a6f17790c8427a",
    "X-CIO-Timestamp": "1692633432",
}
BODY = (
    b'{"data":{"action_id":42,"campaign_id":23,"content":"Welcome to the club, we are with you.",'
    b'"customer_id":"user-123","delivery_id":"RAECAAFwnUSneIa0ZXkmq8EdkAM==","headers":{"Custom-Header":["custom-value"]},'
    b'"identifiers":{"id":"user-123"},"recipient":"test@example.com","subject":"Thanks for signing up"},'
    b'"event_id":"01E2EMRMM6TZ12TF9WGZN0WJQT","metric":"sent","object_type":"email","timestamp":1692633432}'
)
SENT = instant(1692633432)


def test_the_published_vector() -> None:
    """It verifies, also while the key is being replaced, and until Customer.io's last try."""
    verify(Provider.CUSTOMERIO, BODY, SIGNED, SECRET, at=SENT)
    verify(Provider.CUSTOMERIO, BODY, SIGNED, "new", SECRET, at=SENT + WINDOW)


def test_what_is_not_proven() -> None:
    """Another key, a changed byte, a line end more, another time, no signature."""
    restamped = {**SIGNED, "X-CIO-Timestamp": "1692633433"}

    assert "does not match" in refused(Provider.CUSTOMERIO, BODY, SIGNED, "other", at=SENT)
    assert "does not match" in refused(Provider.CUSTOMERIO, BODY.replace(b"42", b"43"), SIGNED, SECRET, at=SENT)
    assert "does not match" in refused(Provider.CUSTOMERIO, BODY + b"\r\n", SIGNED, SECRET, at=SENT)
    assert "does not match" in refused(Provider.CUSTOMERIO, BODY, restamped, SECRET, at=SENT)
    assert "no header" in refused(Provider.CUSTOMERIO, BODY, {}, SECRET, at=SENT)


@pytest.mark.parametrize("late", [WINDOW + timedelta(seconds=1), -timedelta(minutes=6)])
def test_a_time_that_is_stale(late: timedelta) -> None:
    """Too long ago, or ahead of any clock."""
    assert "signed at" in refused(Provider.CUSTOMERIO, BODY, SIGNED, SECRET, at=SENT + late)


def test_the_event_of_the_vector() -> None:
    """It is understood; the text of the mail is not kept."""
    event = event_in(Provider.CUSTOMERIO, BODY)

    assert (event.name, event.message_id) == ("Email Sent", "01E2EMRMM6TZ12TF9WGZN0WJQT")
    assert event.names == Names(user="user-123", email="test@example.com")
    assert event.properties == {
        "email_id": "RAECAAFwnUSneIa0ZXkmq8EdkAM==",
        "email_subject": "Thanks for signing up",
        "campaign_id": "23",
        "action_id": 42,
    }


def report(about: str, metric: str, **data: Any) -> dict[str, Any]:
    return {
        "event_id": "01E4C4C6P79C12J5A6KPE6XNFD",
        "object_type": about,
        "metric": metric,
        "timestamp": 1772358000,
        "data": {
            "customer_id": "u-7",
            "identifiers": {"id": "u-7", "email": "Ada@Acme.example", "cio_id": "d9c106000001"},
            "delivery_id": "RPILAgABcRhIBqSp7kiPekGBIeVh",
            **data,
        },
    }


KINDS = {
    ("customer", "subscribed"): "Resubscribed",
    ("customer", "unsubscribed"): "Unsubscribed",
    ("email", "sent"): "Email Sent",
    ("email", "delivered"): "Email Delivered",
    ("email", "opened"): "Email Opened",
    ("email", "clicked"): "Email Link Clicked",
    ("email", "bounced"): "Email Bounced",
    ("email", "dropped"): "Email Dropped",
    ("email", "deferred"): "Email Deferred",
    ("email", "spammed"): "Email Marked as Spam",
    ("email", "unsubscribed"): "Unsubscribed",
    ("email", "drafted"): "Email Drafted",
    ("email", "attempted"): "Email Attempted",
    ("email", "converted"): "Email Converted",
    ("email", "failed"): "Email Failed",
    ("push", "opened"): "Push Opened",
    ("sms", "clicked"): "Sms Clicked",
    ("in_app", "clicked"): "In App Clicked",
}


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_every_kind_of_event(kind: tuple[str, str], name: str) -> None:
    """Each has its name in Segment's vocabulary, or one in its manner."""
    event = event_in(Provider.CUSTOMERIO, report(*kind))

    assert event.name == name
    assert event.names == Names(user="u-7", email="ada@acme.example", anonymous="customerio:d9c106000001")


@pytest.mark.parametrize("about", ["slack", "webhook"])
def test_messages_to_nobody(about: str) -> None:
    """They tell nothing of a contact and are kept as skipped."""
    assert reason_in(Provider.CUSTOMERIO, report(about, "sent")) is Reason.SKIPPED


def test_a_click_and_a_prefetched_open() -> None:
    """The link, and what Customer.io says of machines."""
    click = event_in(Provider.CUSTOMERIO, report("email", "clicked", href="https://acme.example/pricing", link_id=1))
    opened = event_in(Provider.CUSTOMERIO, report("email", "opened", prefetched=True))
    by_a_person = event_in(Provider.CUSTOMERIO, report("email", "opened", prefetched=False))

    assert (click.properties["link_url"], click.properties["link_id"]) == ("https://acme.example/pricing", 1)
    assert opened.properties["prefetched"] is True
    assert "prefetched" not in by_a_person.properties


def test_an_event_with_a_long_mail() -> None:
    """The mail is left out, so its length is none of ours."""
    assert event_in(Provider.CUSTOMERIO, report("email", "sent", content="x" * 300_000)).name == "Email Sent"
