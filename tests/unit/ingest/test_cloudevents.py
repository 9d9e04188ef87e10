"""CloudEvents in all their forms."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.record import text_headers
from shared.events.touch import TouchType
from tests.unit.ingest.reading import read

BARE = {"specversion": "1.0", "id": "e-1", "source": "/crm", "type": "com.acme.signed-up"}


def structured(**more: Any) -> Event | Rejection:
    (item,) = read(json.dumps({**BARE, **more}).encode(), {"content-type": "application/cloudevents+json"})
    return item


@pytest.mark.parametrize("form", [to_structured_event, to_binary_event])
def test_what_the_official_sdk_writes_to_kafka(form: Any) -> None:
    """Structured and binary records mean the same."""
    written = form(
        CloudEvent(
            attributes={**BARE, "time": datetime(2026, 2, 1, tzinfo=UTC), "datacontenttype": "application/json"},
            data={"email": "ada@acme.example", "plan": "pro"},
        )
    )
    (event,) = read(written.value, text_headers(list(written.headers.items())))

    assert isinstance(event, Event)
    assert (event.type, event.name) == (TouchType.TRACK, "com.acme.signed-up")
    assert event.occurred_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert event.message_id == "/crm\x1fe-1"
    assert event.properties == {"email": "ada@acme.example", "plan": "pro"}
    assert event.names.email == "ada@acme.example"


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"data": {"userId": "u", "anonymousId": "a", "email": "x@y.example"}}, ("u", "x@y.example", "a")),
        ({"data": {"traits": {"email": "x@y.example"}}}, ("", "x@y.example", "")),
        ({"userid": "u", "anonymousid": "a", "email": "x@y.example"}, ("u", "x@y.example", "a")),
        ({"userid": "extension", "data": {"userId": "data"}}, ("data", "", "")),
        ({"subject": "X@Y.example"}, ("", "x@y.example", "")),
        ({"subject": "x@y.example", "userid": "u"}, ("u", "", "")),
    ],
)
def test_who_it_is_about(more: dict[str, Any], names: tuple[str, str, str]) -> None:
    """The data comes first, then extension attributes, then a subject that is an address."""
    event = structured(**more)

    assert isinstance(event, Event)
    assert (event.names.user, event.names.email, event.names.anonymous) == names


def test_segment_fields_in_the_data() -> None:
    """They are read as Segment's own."""
    event = structured(
        data={
            "type": "page",
            "userId": "u",
            "name": "Pricing",
            "properties": {"path": "/pricing"},
            "context": {"page": {}},
        }
    )

    assert isinstance(event, Event)
    assert (event.type, event.name, event.properties) == (TouchType.PAGE, "Pricing", {"path": "/pricing"})


def test_type_names_a_call() -> None:
    """A CloudEvent of type `identify` is an identify call."""
    event = structured(type="identify", data={"userId": "u", "traits": {"title": "CTO"}})

    assert isinstance(event, Event)
    assert (event.type, event.traits) == (TouchType.IDENTIFY, {"title": "CTO"})


def test_data_in_base64() -> None:
    """It is the same data."""
    event = structured(userid="u", data_base64=b64encode(b'{"plan":"pro"}').decode())

    assert isinstance(event, Event)
    assert event.properties == {"plan": "pro"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"id": None}, Reason.MISSING_ATTRIBUTE),
        ({"source": ""}, Reason.MISSING_ATTRIBUTE),
        ({"type": 5}, Reason.MISSING_ATTRIBUTE),
        ({"specversion": None}, Reason.MISSING_ATTRIBUTE),
        ({"specversion": "0.3"}, Reason.UNSUPPORTED_VERSION),
        ({"data": "text"}, Reason.DATA_NOT_AN_OBJECT),
        ({"data": [1]}, Reason.DATA_NOT_AN_OBJECT),
        ({"data_base64": "%%%"}, Reason.WRONG_TYPE),
        ({"data_base64": 5}, Reason.WRONG_TYPE),
        ({"data_base64": "AAEC"}, Reason.DATA_NOT_AN_OBJECT),
        ({"data": {"properties": 5}}, Reason.WRONG_TYPE),
        ({"data": {"x": "a\0"}}, Reason.NUL_CHARACTER),
        ({"userid": "u", "data_base64": b64encode(b'{"x":"\\u0000"}').decode()}, Reason.NUL_CHARACTER),
        ({"data": {"plan": "pro"}}, Reason.NO_IDENTIFIER),
        ({"userid": "u", "time": "noon"}, Reason.BAD_TIMESTAMP),
        ({"userid": "u", "data": {"text": "x" * 65_536}}, Reason.EVENT_TOO_LARGE),
    ],
)
def test_what_is_rejected(more: dict[str, Any], reason: Reason) -> None:
    """Each fault has its reason; nothing is filled in."""
    item = structured(**more)

    assert isinstance(item, Rejection)
    assert item.reason is reason


def test_batch() -> None:
    """Each event is judged alone; an empty batch is fine."""
    items = [{**BARE, "userid": "a"}, {"id": 1}, 5, {**BARE, "userid": "b"}]
    headers = {"content-type": "application/cloudevents-batch+json; charset=UTF-8"}

    read_items = read(json.dumps(items).encode(), headers)

    assert [item.names.user if isinstance(item, Event) else item.reason for item in read_items] == [
        "a",
        Reason.MISSING_ATTRIBUTE,
        Reason.NOT_AN_OBJECT,
        "b",
    ]
    assert read(b"[]", headers) == []


def test_binary_without_data() -> None:
    """The attributes alone are an event."""
    headers = {f"ce_{name}": value for name, value in BARE.items()} | {"ce_userid": "u"}
    (event,) = read(b"", headers)

    assert isinstance(event, Event)
    assert event.properties == {}
