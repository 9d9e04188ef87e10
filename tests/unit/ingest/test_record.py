"""Records of `events.*`, by whoever wrote them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.record import Intake, origin_of, read_traceparent, text_headers
from tests.unit.ingest.reading import RECEIVED_AT, read

PAGE = {"type": "page", "userId": "u"}
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "userid": "u"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=20,
)
field_names = st.sampled_from(
    "type event name userId anonymousId previousId groupId messageId timestamp originalTimestamp sentAt properties"
    " traits context email data data_base64 specversion id source subject time userid category".split()
)
calls = st.dictionaries(field_names, json_values | st.sampled_from(["track", "page", "u-1", "a@b.example", "1.0"]))
intakes = st.none() | st.sampled_from([str(intake) for intake in Intake]) | st.text(max_size=20)


@pytest.mark.parametrize("body", [PAGE, {"batch": [PAGE]}, CLOUD_EVENT, [CLOUD_EVENT]])
def test_a_record_by_another_producer(body: Any) -> None:
    """Its form is told by its bytes, its source is `kafka`, and it was received when it was appended."""
    origin = origin_of({}, topic="events.campaign", partition=0, offset=0, appended_at=RECEIVED_AT, now=RECEIVED_AT)
    (event,) = read(json.dumps(body).encode())

    assert isinstance(event, Event)
    assert event.occurred_at == RECEIVED_AT
    assert (origin.source, origin.kind, origin.received_at) == ("kafka", "campaign", RECEIVED_AT)


def test_headers_of_our_own() -> None:
    """They say source, kind, time and trace."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = text_headers(
        [
            ("tandem-source", b"website"),
            ("tandem-kind", b"campaign"),
            ("tandem-received-at", b"2026-01-01T00:00:00.000001+00:00"),
            ("traceparent", trace.encode()),
            ("tandem-source", b"second"),
        ]
    )
    origin = origin_of(headers, topic="events.web", partition=0, offset=0, appended_at=RECEIVED_AT, now=RECEIVED_AT)

    assert (origin.source, origin.kind, origin.traceparent) == ("website", "campaign", trace)
    assert origin.received_at == datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)


def test_headers_that_lie() -> None:
    """What cannot be used is as if it were absent."""
    headers = text_headers(
        [
            ("tandem-source", b"\x00 "),
            ("tandem-kind", b"other"),
            ("tandem-received-at", b"\xff"),
            ("traceparent", b"00-zz"),
        ]
    )
    origin = origin_of(headers, topic="events.web", partition=0, offset=0, appended_at=RECEIVED_AT, now=RECEIVED_AT)

    assert (origin.source, origin.kind, origin.received_at, origin.traceparent) == ("kafka", "web", RECEIVED_AT, None)


@pytest.mark.parametrize(
    "value", ["", "00", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01"]
)
def test_traceparents_that_are_none(value: str) -> None:
    """Only what the W3C calls one is carried on."""
    assert read_traceparent(value) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.INVALID_JSON),
        (b"{", Reason.INVALID_JSON),
        (b"\xff\xfe", Reason.INVALID_JSON),
        (b"5", Reason.NOT_AN_OBJECT),
        (b'{"batch": 5}', Reason.WRONG_TYPE),
        (b'{"batch": []}', Reason.EMPTY_BATCH),
        (b'{"batch": [1], "context": 5}', Reason.NOT_AN_OBJECT),
        (b'{"batch": [1], "context": {"page": "\\u0000"}}', Reason.NUL_CHARACTER),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b'{"a":' * 100_000, Reason.TOO_DEEP),
    ],
)
def test_a_record_that_cannot_be_taken_apart(value: bytes, reason: Reason) -> None:
    """It is kept whole."""
    (item,) = read(value)

    assert item == Rejection(reason, item.message if isinstance(item, Rejection) else "", value)


def test_an_intake_of_a_newer_version() -> None:
    """The bytes tell what the header no longer can."""
    (event,) = read(json.dumps(PAGE).encode(), {"tandem-intake": "segment.vision"})

    assert isinstance(event, Event)


def test_a_byte_order_mark() -> None:
    """It is skipped."""
    (event,) = read(b"\xef\xbb\xbf" + json.dumps(PAGE).encode())

    assert isinstance(event, Event)


@given(value=st.binary(max_size=200), intake=intakes)
def test_any_bytes(value: bytes, intake: str | None) -> None:
    """Nothing but events and rejections ever comes of a record."""
    headers = {} if intake is None else {"tandem-intake": intake}

    assert all(isinstance(item, Event | Rejection) for item in read(value, headers))


@given(
    value=json_values | calls | st.lists(calls) | st.fixed_dictionaries({"batch": st.lists(calls, min_size=1)}),
    intake=intakes,
    headers=st.dictionaries(
        st.sampled_from(["content-type", "ce_id", "ce_source", "ce_type", "ce_specversion"]), st.text()
    ),
)
def test_any_json(value: Any, intake: str | None, headers: dict[str, str]) -> None:
    """Nothing but events and rejections ever comes of a record; each rejection says what would be right."""
    if intake is not None:
        headers = {**headers, "tandem-intake": intake}

    for item in read(json.dumps(value).encode(), headers):
        assert isinstance(item, Event) or item.message.strip()


@given(st.lists(calls, min_size=1, max_size=6))
def test_neighbours(items: list[Any]) -> None:
    """What an item becomes does not depend on its neighbours."""

    def kinds(batch: list[Any]) -> list[Any]:
        found = read(json.dumps({"batch": batch}).encode(), {"tandem-intake": "segment.batch"})
        return [type(item) if isinstance(item, Event) else item.reason for item in found]

    assert kinds(items) == [kind for item in items for kind in kinds([item])]
