"""Postmark's webhooks, after the real ones in django-anymail's tests/test_postmark_webhooks.py."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.providers import Provider
from tests.unit.ingest.hooks.hooking import event_in, reason_in

MESSAGE = "f4830d10-9c35-4f0c-bca3-3d9b459821f8"


def record(kind: str, **more: Any) -> dict[str, Any]:
    return {"RecordType": kind, "MessageID": MESSAGE, "MessageStream": "outbound", "Tag": "welcome", **more}


def bounce(kind: str) -> dict[str, Any]:
    return record(
        "Bounce", Type=kind, ID=901542550, Email="Ada@Acme.example", BouncedAt="2016-04-27T16:28:50.3963933-04:00"
    )


def change(**more: Any) -> dict[str, Any]:
    return record("SubscriptionChange", Recipient="Ada@Acme.example", ChangedAt="2022-06-05T17:17:32Z", **more)


DELIVERY = record("Delivery", Recipient="Ada@Acme.example", DeliveredAt="2014-08-01T13:28:10.2735393-04:00")
OPEN = record(
    "Open",
    Recipient="Ada@Acme.example",
    ReceivedAt="2016-04-27T16:21:41.2493688-04:00",
    FirstOpen=True,
    UserAgent="Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0",
    Client={"Name": "Gmail", "Company": "Google", "Family": "Gmail"},
    Geo={},
)
CLICK = record(
    "Click",
    Recipient="Ada@Acme.example",
    ReceivedAt="2017-10-25T15:21:11.9065619Z",
    OriginalLink="https://acme.example/pricing",
    UserAgent="Mozilla/5.0 (Macintosh)",
    Metadata={"user_id": "7", "cohort": "2014-08-A"},
)
SPAM = record("SpamComplaint", ID=1, Email="Ada@Acme.example", BouncedAt="2016-04-27T16:28:50.3963933-04:00")

KINDS: list[tuple[dict[str, Any], str]] = [
    (DELIVERY, "Email Delivered"),
    (OPEN, "Email Opened"),
    (CLICK, "Email Link Clicked"),
    (SPAM, "Email Marked as Spam"),
    (bounce("HardBounce"), "Email Bounced"),
    (bounce("SoftBounce"), "Email Bounced"),
    (bounce("Transient"), "Email Deferred"),
    (bounce("AutoResponder"), "Email Answered Automatically"),
    (change(SuppressSending=True, SuppressionReason="ManualSuppression", Origin="Recipient"), "Unsubscribed"),
    (change(SuppressSending=True, SuppressionReason="HardBounce"), "Email Bounced"),
    (change(SuppressSending=True, SuppressionReason="SpamComplaint"), "Email Marked as Spam"),
    (change(SuppressSending=False, Origin="Recipient"), "Resubscribed"),
    (record("SmtpApiError", Email="Ada@Acme.example"), "Email SmtpApiError"),
]


@pytest.mark.parametrize(("body", "name"), KINDS)
def test_every_kind_of_record(body: dict[str, Any], name: str) -> None:
    """Each has its name in Segment's vocabulary, whichever field holds the address."""
    event = event_in(Provider.POSTMARK, body)

    assert event.name == name
    assert event.names.email == "ada@acme.example"


def test_a_click() -> None:
    """It says on what, in which mail, by which browser; the sender's own metadata are kept."""
    event = event_in(Provider.POSTMARK, CLICK)

    assert event.names == Names(email="ada@acme.example", user="7")
    assert event.user_agent == "Mozilla/5.0 (Macintosh)"
    assert event.occurred_at == datetime(2017, 10, 25, 15, 21, 11, 906561, tzinfo=UTC)
    assert event.properties == {
        "user_id": "7",
        "cohort": "2014-08-A",
        "email_id": MESSAGE,
        "link_url": "https://acme.example/pricing",
        "tag": "welcome",
        "message_stream": "outbound",
    }


def test_a_suppression_that_the_sender_lifts() -> None:
    """Nobody asked for mail again, so the contact is not opted in."""
    event = event_in(Provider.POSTMARK, change(SuppressSending=False, Origin="Customer"))

    assert event.name == "Email Reactivated"


def test_events_of_one_mail() -> None:
    """They have ids of their own; the same one sent again has the same."""
    bodies = [DELIVERY, OPEN, CLICK, {**CLICK, "OriginalLink": "https://acme.example/"}, bounce("HardBounce")]
    ids = [event_in(Provider.POSTMARK, body).message_id for body in bodies]

    assert len(set(ids)) == len(bodies)
    assert event_in(Provider.POSTMARK, CLICK).message_id == ids[2]


@pytest.mark.parametrize("body", [{"RecordType": "Inbound"}, {"FromFull": {"Email": "from@example.org"}}])
def test_mail_that_came_in(body: dict[str, Any]) -> None:
    """Somebody has set the inbound address to this one; it is kept and says so."""
    assert reason_in(Provider.POSTMARK, body) is Reason.SKIPPED
