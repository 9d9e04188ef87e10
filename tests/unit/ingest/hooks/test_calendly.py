"""Calendly's webhooks."""

from datetime import timedelta
from typing import Any

import pytest

from services.ingest.domain.identifiers import Names
from services.ingest.domain.rejection import Reason
from services.ingest.intake.hooks.calendly import WINDOW
from services.ingest.intake.hooks.providers import Provider
from tests.unit.ingest.hooks.hooking import event_in, instant, reason_in, refused, verify

# No vector is published; this is `openssl dgst -sha256 -hmac` of `t.body`, as Calendly's documentation says.
SECRET = "calendly-signing-key"
BODY = b'{"event":"invitee.created","payload":{"email":"ada@acme.example"}}'
SIGNATURE = "t=1772359200,v1=12859e1f1f41a7363ea1f8d84e93c63364cfa62748706f0470e77ba941e7ce8a"
SIGNED = {"Calendly-Webhook-Signature": SIGNATURE}
SENT = instant(1772359200)


def test_a_signature() -> None:
    """It verifies, also while the key is being replaced, and until Calendly's last try."""
    verify(Provider.CALENDLY, BODY, SIGNED, SECRET, at=SENT)
    verify(Provider.CALENDLY, BODY, SIGNED, "new", SECRET, at=SENT + WINDOW)


def test_what_is_not_proven() -> None:
    """Another key, a changed byte, a line end more, another time, no signature, half a signature."""
    restamped = {"Calendly-Webhook-Signature": SIGNATURE.replace("200,", "201,")}
    half = {"Calendly-Webhook-Signature": "t=1772359200"}

    assert "does not match" in refused(Provider.CALENDLY, BODY, SIGNED, "other", at=SENT)
    assert "does not match" in refused(Provider.CALENDLY, BODY.replace(b"ada", b"bob"), SIGNED, SECRET, at=SENT)
    assert "does not match" in refused(Provider.CALENDLY, BODY + b"\r\n", SIGNED, SECRET, at=SENT)
    assert "does not match" in refused(Provider.CALENDLY, BODY, restamped, SECRET, at=SENT)
    assert "does not match" in refused(Provider.CALENDLY, BODY, half, SECRET, at=SENT)
    assert "no header" in refused(Provider.CALENDLY, BODY, {}, SECRET, at=SENT)
    assert "no time" in refused(Provider.CALENDLY, BODY, {"Calendly-Webhook-Signature": "x"}, SECRET, at=SENT)


@pytest.mark.parametrize("late", [WINDOW + timedelta(seconds=1), -timedelta(minutes=6)])
def test_a_time_that_is_stale(late: timedelta) -> None:
    """Too long ago, or ahead of any clock."""
    assert "signed at" in refused(Provider.CALENDLY, BODY, SIGNED, SECRET, at=SENT + late)


INVITEE = "https://api.calendly.com/scheduled_events/E1/invitees/I1"


def invitee(event: str = "invitee.created", **more: Any) -> dict[str, Any]:
    payload = {
        "uri": INVITEE,
        "email": "Ada@Acme.example",
        "name": "Ada Byron",
        "first_name": None,
        "last_name": None,
        "timezone": "Europe/Berlin",
        "status": "active",
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "questions_and_answers": [
            {"question": "Company?", "answer": "Acme", "position": 0},
            {"question": "What hurts most?", "answer": "Late trucks", "position": 1},
        ],
        "tracking": {"utm_campaign": "spring", "utm_source": None, "salesforce_uuid": None},
        "scheduled_event": {
            "uri": "https://api.calendly.com/scheduled_events/E1",
            "name": "30 Minute Demo",
            "start_time": "2026-03-04T15:00:00.000000Z",
            "end_time": "2026-03-04T15:30:00.000000Z",
        },
        **more,
    }
    return {"event": event, "created_at": "2026-02-28T12:00:00.000000Z", "created_by": "x", "payload": payload}


def test_a_booking() -> None:
    """It says what for and when, with the answers; the name is a trait."""
    event = event_in(Provider.CALENDLY, invitee())

    assert (event.name, event.names) == ("Meeting Booked", Names(email="ada@acme.example"))
    assert event.message_id == f"invitee.created/{INVITEE}"
    assert event.occurred_at == instant(1772280000)
    assert event.properties == {
        "company": "Acme",
        "what_hurts_most": "Late trucks",
        "meeting": "30 Minute Demo",
        "starts_at": "2026-03-04T15:00:00.000000Z",
        "ends_at": "2026-03-04T15:30:00.000000Z",
        "meeting_id": "https://api.calendly.com/scheduled_events/E1",
    }
    assert event.traits == {"company": "Acme", "name": "Ada Byron", "timezone": "Europe/Berlin"}
    assert event.campaign == {"name": "spring"}


def test_a_cancellation() -> None:
    """It says who canceled and why."""
    event = event_in(
        Provider.CALENDLY,
        invitee("invitee.canceled", status="canceled", cancellation={"reason": "ill", "canceler_type": "invitee"}),
    )

    assert event.name == "Meeting Canceled"
    assert (event.properties["reason"], event.properties["canceled_by"]) == ("ill", "invitee")


def test_a_meeting_that_is_moved() -> None:
    """Calendly cancels and books; it is neither a loss nor a second booking."""
    assert reason_in(Provider.CALENDLY, invitee("invitee.canceled", rescheduled=True)) is Reason.SKIPPED
    assert event_in(Provider.CALENDLY, invitee(old_invitee=INVITEE)).name == "Meeting Rescheduled"


def test_other_events() -> None:
    """Whoever did not come is told; what tells nothing of a contact is kept as skipped."""
    assert event_in(Provider.CALENDLY, invitee("invitee_no_show.created")).name == "Meeting Missed"
    assert reason_in(Provider.CALENDLY, invitee("invitee_no_show.deleted")) is Reason.SKIPPED
    assert reason_in(Provider.CALENDLY, {"event": "user.updated", "payload": {}}) is Reason.SKIPPED


def test_a_routing_form() -> None:
    """It is a form; the address is the answer that is one."""
    answers = [{"question": "Email", "answer": "Ada@Acme.example"}, {"question": "Team size", "answer": "50"}]
    event = event_in(
        Provider.CALENDLY,
        {
            "event": "routing_form_submission.created",
            "created_at": "2026-02-28T12:00:00.000000Z",
            "payload": {
                "uri": "https://api.calendly.com/routing_form_submissions/S1",
                "routing_form": "https://api.calendly.com/routing_forms/R1",
                "questions_and_answers": answers,
                "tracking": {},
            },
        },
    )

    assert (event.name, event.names) == ("Form Submitted", Names(email="ada@acme.example"))
    assert event.properties == {"email": "Ada@Acme.example", "team_size": "50", "form": "R1", "form_id": "R1"}
