"""SendGrid's Event Webhook."""

from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.hooks.providers import Provider
from services.ingest.intake.hooks.sendgrid import WINDOW
from tests.unit.ingest.hooks.hooking import event_in, instant, read_hook, reason_in, refused, verify

# The vector of sendgrid-python, test/unit/test_eventwebhook.py.
KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
    "Ec6wEA3F+g=="
)
OTHER_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqTxd43gyp8IOEto2LdIfjRQrIbsd4SXZkLW6jDutdhXSJCWHw8REntlo7aNDthvj+y7GjUuFDb/R"
    "1NGe1OPzpA=="
)
SIGNED = {
    "X-Twilio-Email-Event-Webhook-Signature": (
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
    ),
    "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502",
}
BODY = (
    b'[{"email":"hello@world.com","event":"dropped","reason":"Bounced Address",'
    b'"sg_event_id":"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",'
    b'"sg_message_id":"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",'
    b'"smtp-id":"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>","timestamp":1600112492}]\r\n'
)
SENT = instant(1600112502)


def test_the_published_vector() -> None:
    """It verifies, also with a key that is being replaced, and until SendGrid's last try."""
    verify(Provider.SENDGRID, BODY, SIGNED, KEY, at=SENT)
    verify(Provider.SENDGRID, BODY, SIGNED, OTHER_KEY, KEY, at=SENT)
    verify(Provider.SENDGRID, BODY, SIGNED, KEY, at=SENT + WINDOW)


def test_a_body_without_its_line_end() -> None:
    """SendGrid signs the CR and LF at the end, too: a body that was tidied is not what was signed."""
    assert "does not match" in refused(Provider.SENDGRID, BODY.rstrip(), SIGNED, KEY, at=SENT)
    assert "does not match" in refused(Provider.SENDGRID, BODY.replace(b"\r\n", b"\n"), SIGNED, KEY, at=SENT)


def test_what_is_not_proven() -> None:
    """Another key, a changed byte, another time, no signature, and a key that is none."""
    altered = {**SIGNED, "X-Twilio-Email-Event-Webhook-Timestamp": "1600112503"}
    unsigned = {"X-Twilio-Email-Event-Webhook-Timestamp": "1600112502"}
    garbled = {**SIGNED, "X-Twilio-Email-Event-Webhook-Signature": "?"}
    empty = {**SIGNED, "X-Twilio-Email-Event-Webhook-Signature": "AAAA"}

    assert "does not match" in refused(Provider.SENDGRID, BODY, SIGNED, OTHER_KEY, at=SENT)
    assert "does not match" in refused(Provider.SENDGRID, BODY.replace(b"hello", b"hallo"), SIGNED, KEY, at=SENT)
    assert "does not match" in refused(Provider.SENDGRID, BODY, altered, KEY, at=SENT)
    assert "no header X-Twilio" in refused(Provider.SENDGRID, BODY, unsigned, KEY, at=SENT)
    assert "not base64" in refused(Provider.SENDGRID, BODY, garbled, KEY, at=SENT)
    assert "does not match" in refused(Provider.SENDGRID, BODY, empty, KEY, at=SENT)
    assert "does not match" in refused(Provider.SENDGRID, BODY, SIGNED, "no key", at=SENT)


@pytest.mark.parametrize("late", [WINDOW + timedelta(seconds=1), -timedelta(minutes=6)])
def test_a_time_that_is_stale(late: timedelta) -> None:
    """Too long ago, or ahead of any clock."""
    assert "signed at" in refused(Provider.SENDGRID, BODY, SIGNED, KEY, at=SENT + late)


def test_the_event_of_the_vector() -> None:
    """It is understood with its id, its address and its time; the line end does no harm."""
    event = event_in(Provider.SENDGRID, BODY)

    assert (event.name, event.names) == ("Email Dropped", Names(email="hello@world.com"))
    assert event.message_id == "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA"
    assert event.occurred_at == instant(1600112492)
    assert event.properties["reason"] == "Bounced Address"


KINDS = {
    "processed": "Email Sent",
    "deferred": "Email Deferred",
    "delivered": "Email Delivered",
    "open": "Email Opened",
    "click": "Email Link Clicked",
    "bounce": "Email Bounced",
    "dropped": "Email Dropped",
    "spamreport": "Email Marked as Spam",
    "unsubscribe": "Unsubscribed",
    "group_unsubscribe": "Unsubscribed",
    "group_resubscribe": "Resubscribed",
    "something_new": "Email Something New",
}


def sent(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "email": "Ada@Acme.example",
        "timestamp": 1772358000,
        "event": kind,
        "sg_event_id": f"id-{kind}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001",
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
        "ip": "168.1.1.1",
        **more,
    }


def test_every_kind_of_event() -> None:
    """Each has its name in Segment's vocabulary, or one in its manner; one request holds them all."""
    events = read_hook(Provider.SENDGRID, [sent(kind) for kind in KINDS])

    assert {event.message_id: event.name for event in events if isinstance(event, Event)} == {
        f"id-{kind}": name for kind, name in KINDS.items()
    }


def test_a_click() -> None:
    """It says on what, in which mail and campaign, by which browser; the sender's own arguments are kept."""
    item = sent(
        "click",
        url="https://acme.example/pricing?utm_campaign=spring",
        url_offset={"index": 0, "type": "html"},
        useragent="Mozilla/5.0 (X11)",
        marketing_campaign_id=12345,
        marketing_campaign_name="Spring",
        category=["guide"],
        user_id="u-7",
        plan="gold",
    )
    event = event_in(Provider.SENDGRID, [item])

    assert event.names == Names(email="ada@acme.example", user="u-7")
    assert event.user_agent == "Mozilla/5.0 (X11)"
    assert event.properties == {
        "email_id": "14c5d75ce93.dfd.64b469.filter0001",
        "link_url": "https://acme.example/pricing?utm_campaign=spring",
        "campaign_id": 12345,
        "campaign_name": "Spring",
        "category": ["guide"],
        "plan": "gold",
    }


@pytest.mark.parametrize(("flag", "prefetched"), [(True, True), (False, None), ("true", None)])
def test_an_open_by_a_machine(flag: Any, prefetched: Any) -> None:
    """Apple's mail privacy opens every mail; SendGrid says so and the event keeps it."""
    event = event_in(Provider.SENDGRID, [sent("open", sg_machine_open=flag)])

    assert event.properties.get("prefetched") is prefetched


def test_one_that_is_broken_among_others() -> None:
    """It is kept with its bytes, which are read again as they are; its neighbours are understood."""
    body = [sent("open"), {"event": "open", "timestamp": 1772358000}, 5, sent("click")]
    items = read_hook(Provider.SENDGRID, body)

    assert [item.reason if isinstance(item, Rejection) else item.name for item in items] == [
        "Email Opened",
        Reason.NO_IDENTIFIER,
        Reason.NOT_AN_OBJECT,
        "Email Link Clicked",
    ]
    assert isinstance(items[1], Rejection)
    assert items[1].item == 1
    assert reason_in(Provider.SENDGRID, items[1].original) is Reason.NO_IDENTIFIER


def test_an_event_of_the_account() -> None:
    """It is about no contact and is kept as skipped."""
    assert reason_in(Provider.SENDGRID, [{"event": "account_status_change", "timestamp": 1}]) is Reason.SKIPPED


def test_an_event_without_an_id() -> None:
    """Its bytes are the id, so sending it twice is sending it once."""
    item = {key: value for key, value in sent("open").items() if key != "sg_event_id"}

    assert event_in(Provider.SENDGRID, [item]).message_id == event_in(Provider.SENDGRID, [item]).message_id
    assert event_in(Provider.SENDGRID, [item]).message_id != event_in(Provider.SENDGRID, [{**item, "x": 1}]).message_id
