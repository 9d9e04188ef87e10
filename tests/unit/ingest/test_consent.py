"""What counts as consent, and what is left of an event that has none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.domain.understanding import opted_out
from services.ingest.intake.record import origin_of
from services.ingest.packing import pack_rejection
from shared.events.rejected import decode_rejected
from tests.unit.ingest.reading import RECEIVED_AT, read

HEADERS = {"tandem-intake": "segment.batch", "tandem-consent": "marketing"}


def _of(*events: dict[str, Any], **more: Any) -> list[Event | Rejection]:
    items = [{"type": "track", "event": "Signed Up", "userId": "u", **event} for event in events]
    return read(json.dumps({"batch": items, **more}).encode(), HEADERS)


def _in_category(value: Any, name: str = "marketing") -> dict[str, Any]:
    return {"context": {"consent": {"categoryPreferences": {name: value}}}}


@pytest.mark.parametrize(
    "event",
    [
        _in_category(True),
        {"context": {"consent": {"given": True}}},
        {"properties": {"consent": True}},
        {**_in_category(True), "properties": {"consent": None}},
    ],
)
def test_consent_that_is_given(event: dict[str, Any]) -> None:
    """The event passes."""
    (one,) = _of(event)

    assert isinstance(one, Event)


@pytest.mark.parametrize(
    "event",
    [
        {},
        _in_category(False),
        _in_category("true"),
        _in_category(1),
        _in_category(True, name="analytics"),
        {**_in_category(True), "properties": {"consent": False}},
        {"context": {"consent": {"given": False}}, "properties": {"consent": True}},
        {"context": {"consent": True}},
        {"context": {"consent": {"categoryPreferences": [True]}}},
        {"properties": {"consent": {"given": True}}},
    ],
)
def test_consent_that_is_not_given(event: dict[str, Any]) -> None:
    """Anything but a plain yes that nothing contradicts is a no, and nothing of the event is kept."""
    (one,) = _of({**event, "traits": {"email": "ada@acme.example"}})

    assert isinstance(one, Rejection)
    assert (one.reason, one.original, one.item) == (Reason.NO_CONSENT, b"", 0)
    assert "ada" not in one.message


def test_consent_for_a_whole_batch() -> None:
    """The context of the batch holds for each event that does not say otherwise."""
    consent = {"consent": {"given": True}}
    first, second = _of({}, {"properties": {"consent": False}}, context=consent)

    assert isinstance(first, Event)
    assert isinstance(second, Rejection)
    assert second.item == 1


def test_a_neighbour_that_is_not_understood() -> None:
    """Of it, too, no bytes are kept: nothing shows that they may be."""
    nameless, good = _of({"userId": None, "properties": {"note": "secret"}}, {"properties": {"consent": True}})

    assert isinstance(nameless, Rejection)
    assert (nameless.reason, nameless.original) == (Reason.NO_IDENTIFIER, b"")
    assert isinstance(good, Event)


@pytest.mark.parametrize(
    "event",
    [
        {"event": "Unsubscribed", "properties": {"note": "secret"}},
        {"type": "identify", "traits": {"do_not_contact": True, "note": "secret"}},
        {"event": "Email Marked as Spam", **_in_category(False)},
    ],
)
def test_an_opt_out(event: dict[str, Any]) -> None:
    """It needs no consent, and nothing of it goes on but whose wish it is."""
    (one,) = _of(event)

    assert isinstance(one, Event)
    assert one.names.user == "u"
    assert "secret" not in str(one)
    assert opted_out(one)


def test_headers_of_what_is_rejected() -> None:
    """Attributes in headers can name people: only our own headers are kept."""
    headers = {"tandem-consent": "marketing", "ce_email": "ada@acme.example", "ce_id": "1"}
    origin = origin_of(headers, topic="events.web", partition=0, offset=1, appended_at=RECEIVED_AT, now=RECEIVED_AT)
    record = pack_rejection(Rejection(Reason.NO_CONSENT, "", b"", 0), origin, headers)

    assert dict(decode_rejected(record.value).headers) == {"tandem-consent": "marketing"}


def test_a_source_that_does_not_ask() -> None:
    """Consent is neither needed nor in the way."""
    (one,) = read(
        json.dumps({"batch": [{"type": "page", "userId": "u", "properties": {"consent": False}}]}).encode(),
        {"tandem-intake": "segment.batch"},
    )

    assert isinstance(one, Event)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    )
)
def test_whatever_the_flag_holds(value: Any) -> None:
    """An event passes if and only if the flag is true; nothing breaks."""
    (one,) = _of({"properties": {"consent": value}})

    assert isinstance(one, Event) == (value is True)
