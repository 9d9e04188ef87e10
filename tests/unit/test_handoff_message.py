"""The message that a contact is ready: what is written is read, by this release and of the last one."""

import json

import pytest

from shared.business_calendar import BusinessCalendar
from shared.events.handoff import HandoffReady, Respond, decode_handoff, encode_handoff
from tests.support.conditions import OFFICE
from tests.support.handoffs import make_handoff


@pytest.mark.parametrize("calendar", [OFFICE, None])
def test_the_calendar_of_the_agreement(calendar: BusinessCalendar | None) -> None:
    """The hours that the clock runs in travel with the handoff."""
    respond = Respond(
        within_seconds=60, reassign_after_seconds=60, escalate_after_seconds=60, hours="business", calendar=calendar
    )
    ready = make_handoff(respond=respond)

    assert decode_handoff(encode_handoff(ready)) == ready


def test_a_message_of_the_last_release() -> None:
    """Without a calendar, business hours are those of whoever has the handoff."""
    message = json.loads(encode_handoff(make_handoff()))
    del message["respond"]["calendar"]

    read = decode_handoff(json.dumps(message).encode())

    assert isinstance(read, HandoffReady)
    assert read.respond.calendar is None
