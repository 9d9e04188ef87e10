"""Mautic's webhooks."""

from typing import Any

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.hooks.providers import Provider
from shared.events.touch import TouchType
from tests.unit.ingest.hooks.hooking import event_in, instant, read_hook, reason_in, refused, verify

# No vector is published; this is `openssl dgst -sha256 -hmac` in base64, as Mautic's WebhookBundle does it.
SECRET = "test-mautic-secret"
BODY = b'{"mautic.form_on_submit":[{"submission":{"results":{"email":"a@b.co"}}}]}'
SIGNED = {"Webhook-Signature": "F9QvDftIM/X9F27kPwEFDLMAZS6/pM1UNiEjHn6RcQQ="}


def test_a_signature() -> None:
    """It verifies, also while the secret is being replaced."""
    verify(Provider.MAUTIC, BODY, SIGNED, SECRET)
    verify(Provider.MAUTIC, BODY, SIGNED, "new", SECRET)


def test_what_is_not_proven() -> None:
    """Another secret, a changed byte, a line end more, no signature."""
    assert "does not match" in refused(Provider.MAUTIC, BODY, SIGNED, "other")
    assert "does not match" in refused(Provider.MAUTIC, BODY.replace(b"a@b", b"c@b"), SIGNED, SECRET)
    assert "does not match" in refused(Provider.MAUTIC, BODY + b"\r\n", SIGNED, SECRET)
    assert "no header" in refused(Provider.MAUTIC, BODY, {}, SECRET)


def person(email: str | None = "Ada@Acme.example") -> dict[str, Any]:
    """Return a contact as Mautic sends it: fields in groups, and PHP's empty list for an empty group."""
    field = {"id": "6", "type": "text", "group": "core", "is_fixed": "1"}
    core = {
        "email": {**field, "alias": "email", "value": email},
        "firstname": {**field, "alias": "firstname", "value": "Ada"},
        "position": {**field, "alias": "position", "value": "VP Logistics"},
        "city": {**field, "alias": "city", "value": None},
    }
    return {"id": 5054, "points": 0, "color": None, "fields": {"core": core, "personal": [], "professional": []}}


ADA = Names(email="ada@acme.example", anonymous="mautic:mailer:5054")
STAT = {
    "id": 8,
    "emailAddress": "ada@acme.example",
    "dateSent": "2026-02-26T01:34:37+00:00",
    "dateRead": "2026-02-26T01:35:53+00:00",
    "lastOpened": "2026-02-26T01:35:53+00:00",
    "trackingHash": "55dd17adace91",
    "openCount": 1,
    "lead": person(),
    "email": {"id": 5, "name": "Spring", "subject": "Late trucks"},
}
HIT = {
    "id": 5511,
    "dateHit": "2026-02-28T08:05:00+00:00",
    "url": "https://acme.example/pricing",
    "urlTitle": "Pricing",
    "referer": "https://acme.example/",
    "userAgent": "Mozilla/5.0 (X11)",
    "trackingId": "abc123",
    "lead": person(),
}


@pytest.mark.parametrize("kind", ["mautic.lead_post_save_new", "mautic.lead_post_save_update"])
def test_a_contact(kind: str) -> None:
    """It tells who the contact is; fields without a value are left out."""
    event = event_in(Provider.MAUTIC, {kind: [{"contact": person(), "timestamp": "2026-02-28T08:05:01+00:00"}]})

    assert (event.type, event.names) == (TouchType.IDENTIFY, ADA)
    assert event.traits == {"firstName": "Ada", "title": "VP Logistics"}


def test_a_form() -> None:
    """The answers are properties, the form's alias is the form, and what Segment has a name for is a trait."""
    submission = {
        "id": 902,
        "dateSubmitted": "2026-02-28T08:00:00+00:00",
        "form": {"id": 3, "name": "Request a demo", "alias": "demo"},
        "results": {"email": "ada@acme.example", "company": "Acme", "budget": "10k", "utm_campaign": "spring"},
        "referer": "https://acme.example/demo",
        "trackingId": "abc123",
        "lead": person(),
    }
    event = event_in(Provider.MAUTIC, {"mautic.form_on_submit": [{"submission": submission, "timestamp": "x"}]})

    assert (event.name, event.names, event.message_id) == ("Form Submitted", ADA, "submission/902")
    assert event.properties == {
        "email": "ada@acme.example",
        "company": "Acme",
        "budget": "10k",
        "utm_campaign": "spring",
        "form": "demo",
        "form_id": 3,
        "form_name": "Request a demo",
        "referrer": "https://acme.example/demo",
    }
    assert event.traits == {"company": "Acme"}
    assert event.campaign == {"name": "spring"}


def test_a_page_and_a_click() -> None:
    """A visit is a page; one that came over a tracked link in a mail is a click."""
    page = event_in(Provider.MAUTIC, {"mautic.page_on_hit": [{"hit": HIT}]})
    hit = {**HIT, "email": {"id": 5, "name": "Spring", "subject": "Late trucks"}, "redirect": {"id": 1}}
    click = event_in(Provider.MAUTIC, {"mautic.page_on_hit": [{"hit": hit}]})

    assert (page.type, page.name, page.names) == (TouchType.PAGE, "Pricing", ADA)
    assert page.properties["url"] == "https://acme.example/pricing"
    assert page.user_agent == "Mozilla/5.0 (X11)"
    assert page.occurred_at == instant(1772265900)
    assert click.name == "Email Link Clicked"
    assert click.properties["link_url"] == "https://acme.example/pricing"
    assert click.properties["campaign_name"] == "Spring"


def test_a_visitor_whom_mautic_does_not_know() -> None:
    """The cookie names them."""
    event = event_in(Provider.MAUTIC, {"mautic.page_on_hit": [{"hit": {**HIT, "lead": None}}]})

    assert event.names == Names(anonymous="abc123")


@pytest.mark.parametrize(
    ("kind", "name", "at"),
    [("mautic.email_on_open", "Email Opened", 1772069753), ("mautic.email_on_send", "Email Sent", 1772069677)],
)
def test_a_mail(kind: str, name: str, at: int) -> None:
    """It is told as Segment names it, in a list or alone, as Mautic has sent it before."""
    for sent in ([{"stat": STAT}], {"stat": STAT}):
        event = event_in(Provider.MAUTIC, {kind: sent})

        assert (event.name, event.names, event.occurred_at) == (name, ADA, instant(at))
        assert event.properties["email_id"] == "55dd17adace91"
        assert event.properties["campaign_name"] == "Spring"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("unsubscribed", "Unsubscribed"),
        ("manual", "Unsubscribed"),
        ("bounced", "Email Bounced"),
        ("contactable", "Resubscribed"),
    ],
)
def test_whether_a_contact_may_be_written_to(status: str, name: str) -> None:
    """The channel of mail says so; other channels and statuses say nothing."""
    kind = "mautic.lead_channel_subscription_changed"
    event = {"contact": person(), "channel": "email", "old_status": "contactable", "new_status": status}

    assert event_in(Provider.MAUTIC, {kind: [event]}).name == name
    assert reason_in(Provider.MAUTIC, {kind: [{**event, "channel": "sms"}]}) is Reason.SKIPPED
    assert reason_in(Provider.MAUTIC, {kind: [{**event, "new_status": "odd"}]}) is Reason.SKIPPED


@pytest.mark.parametrize(
    "kind",
    [
        "lead_points_change",
        "lead_post_delete",
        "lead_company_change",
        "lead_list_change",
        "company_post_save",
        "company_post_delete",
        "sms_on_send",
    ],
)
def test_kinds_that_tell_nothing(kind: str) -> None:
    """They are kept as skipped."""
    assert reason_in(Provider.MAUTIC, {f"mautic.{kind}": [{"contact": person()}]}) is Reason.SKIPPED


def test_several_kinds_in_one_request() -> None:
    """Each is read; one that is broken comes back under its kind, so that it can be read again."""
    items = read_hook(
        Provider.MAUTIC,
        {
            "mautic.email_on_open": [{"stat": STAT}, {"stat": {}}, 5],
            "mautic.page_on_hit": [{"hit": HIT}],
            "timestamp": "2026-02-28T08:05:01+00:00",
        },
    )

    assert [item.name if isinstance(item, Event) else item.reason for item in items] == [
        "Email Opened",
        Reason.NO_IDENTIFIER,
        Reason.NOT_AN_OBJECT,
        "Pricing",
    ]
    assert isinstance(items[1], Rejection)
    assert items[1].original == b'{"mautic.email_on_open":[{"stat": {}}]}'
    assert reason_in(Provider.MAUTIC, items[1].original) is Reason.NO_IDENTIFIER


@pytest.mark.parametrize(("body", "reason"), [(b"{}", Reason.EMPTY_BATCH), (b"[]", Reason.NOT_AN_OBJECT)])
def test_a_body_without_events(body: bytes, reason: Reason) -> None:
    """It is kept with its reason."""
    assert reason_in(Provider.MAUTIC, body) is reason


def test_a_repeat() -> None:
    """What has no id of its own is known by its content."""
    post = {"mautic.lead_post_save_update": [{"contact": person(), "timestamp": "2026-02-28T08:05:01+00:00"}]}
    other = {"mautic.lead_post_save_update": [{"contact": person(), "timestamp": "2026-02-28T09:05:01+00:00"}]}

    assert event_in(Provider.MAUTIC, post).message_id == event_in(Provider.MAUTIC, post).message_id
    assert event_in(Provider.MAUTIC, post).message_id != event_in(Provider.MAUTIC, other).message_id
