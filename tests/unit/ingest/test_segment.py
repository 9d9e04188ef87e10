"""Segment's form, as real SDKs send it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from shared.events.touch import TouchType
from tests.unit.ingest.reading import RECEIVED_AT, read, read_batch, read_one, reason_of

NOON = "2026-03-01T12:00:00.000Z"


def test_segment_analytics_python() -> None:
    """Absent ids are null, times end in +00:00, the clock is corrected by the batch's sentAt."""
    event = read_one(
        {
            "anonymousId": None,
            "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
            "event": "Form Submitted",
            "integrations": {},
            "messageId": "0b6c1f56-6a3f-4d2b-9f2c-5a1f0f9a5c11",
            "properties": {"form": "demo"},
            "timestamp": "2026-03-01T12:00:00.724+00:00",
            "type": "track",
            "userId": "12345",
        },
        sentAt="2026-03-01T12:00:10.724+00:00",
        writeKey="wk",
    )

    assert (event.type, event.name) == (TouchType.TRACK, "Form Submitted")
    assert (event.names.user, event.names.anonymous) == ("12345", "")
    assert event.message_id == "0b6c1f56-6a3f-4d2b-9f2c-5a1f0f9a5c11"
    assert event.occurred_at == datetime(2026, 3, 1, 9, 59, 50, tzinfo=UTC)  # ten seconds before it was received


def test_rudder_sdk_python() -> None:
    """An identify call has its traits in the context."""
    event = read_one(
        {
            "anonymousId": "b2f0",
            "channel": "server",
            "context": {"traits": {"email": "Ada@Acme.example", "title": "Director"}, "library": {"name": "x"}},
            "integrations": {"All": True},
            "messageId": "m-1",
            "originalTimestamp": "2026-03-01T10:00:00Z",
            "type": "identify",
            "userId": "u-1",
        }
    )

    assert event.type is TouchType.IDENTIFY
    assert event.traits == {"email": "Ada@Acme.example", "title": "Director"}
    assert event.names.email == "ada@acme.example"


def test_rudder_sdk_node() -> None:
    """Each event has its own originalTimestamp and sentAt; the batch has a timestamp that is none of theirs."""
    event = read_one(
        {
            "type": "page",
            "name": "Pricing",
            "userId": "u-1",
            "originalTimestamp": NOON,
            "sentAt": "2026-03-01T12:00:05.000Z",
            "messageId": "m-1",
        },
        timestamp="2026-03-01T12:00:09.000Z",
    )

    assert event.name == "Pricing"
    assert event.occurred_at == datetime(2026, 3, 1, 9, 59, 55, tzinfo=UTC)


def test_analytics_node() -> None:
    """Ids that are missing are missing, the page's category is told in its properties."""
    event = read_one(
        {
            "messageId": "node-next-1772359200000-8e4e",
            "type": "page",
            "category": "docs",
            "name": "Install",
            "properties": {"category": "docs", "url": "https://acme.example/docs"},
            "userId": "u-1",
            "context": {"library": {"name": "@segment/analytics-node"}},
            "timestamp": NOON,
            "_metadata": {"nodeVersion": "22"},
        }
    )

    assert event.properties == {"category": "docs", "url": "https://acme.example/docs"}


def test_analytics_next_single_call() -> None:
    """The path says the type; page and campaign are in the context."""
    body = {
        "timestamp": NOON,
        "type": "page",
        "properties": {"path": "/pricing", "title": "Pricing"},
        "context": {
            "campaign": {"name": "spring", "source": "newsletter"},
            "page": {"url": "https://acme.example/pricing", "referrer": "https://search.example/"},
            "userAgent": "Mozilla/5.0",
        },
        "messageId": "ajs-next-1772359200000-1a2b",
        "anonymousId": "4f5e",
        "writeKey": "wk",
        "userId": None,
        "sentAt": NOON,
    }
    (event,) = read(json.dumps(body).encode(), {"tandem-intake": "segment.page"})

    assert isinstance(event, Event)
    assert event.page["referrer"] == "https://search.example/"
    assert event.campaign == {"name": "spring", "source": "newsletter"}
    assert event.user_agent == "Mozilla/5.0"


def test_group_and_alias() -> None:
    """A group call is about the account, an alias call names the previous id."""
    group = read_one(
        {"type": "group", "userId": "u-1", "groupId": 42, "traits": {"name": "Acme", "email": "x@y.example"}}
    )
    alias = read_one({"type": "alias", "userId": "u-1", "previousId": "anon-1"})

    assert (group.group_id, group.traits["name"], group.names.email) == ("42", "Acme", "")
    assert (alias.names.user, alias.names.previous) == ("u-1", "anon-1")


def test_context_of_the_batch() -> None:
    """It holds for every event; the event's own wins key by key."""
    event = read_one(
        {"type": "track", "event": "x", "context": {"traits": {"title": "own"}, "page": {"path": "/own"}}},
        context={
            "traits": {"email": "ada@acme.example", "title": "shared"},
            "page": {"path": "/shared", "url": "u"},
            "userAgent": "shared/1.0",
        },
    )

    assert event.traits == {"email": "ada@acme.example", "title": "own"}
    assert event.page == {"path": "/own", "url": "u"}
    assert event.user_agent == "shared/1.0"


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"userId": 12345}, ("12345", "", "")),
        ({"userId": 12345.0}, ("12345", "", "")),
        ({"userId": " u-1 ", "anonymousId": 7}, ("u-1", "", "7")),
        ({"userId": "null", "anonymousId": "a-1"}, ("", "", "a-1")),
        ({"userId": "x" * 257, "anonymousId": "a-1"}, ("", "", "a-1")),
        ({"userId": "Ada@Acme.example"}, ("Ada@Acme.example", "ada@acme.example", "")),
        ({"anonymousId": "a", "properties": {"email": "ada@acme.example"}}, ("", "ada@acme.example", "a")),
        ({"userId": "u", "properties": {"email": "friend@acme.example"}}, ("u", "", "")),
        ({"context": {"traits": {"email": "ada@acme.example"}}}, ("", "ada@acme.example", "")),
        ({"anonymousId": "a", "context": {"traits": "none"}, "traits": None}, ("", "", "a")),
    ],
)
def test_who_an_event_is_about(fields: dict[str, Any], names: tuple[str, str, str]) -> None:
    """Numbers become text, placeholders and monsters name nobody, a form tells who filled it in."""
    found = read_one({"type": "track", "event": "x", **fields}).names

    assert (found.user, found.email, found.anonymous) == names


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, Reason.NOT_AN_OBJECT),
        (None, Reason.NOT_AN_OBJECT),
        ([], Reason.NOT_AN_OBJECT),
        ({}, Reason.UNKNOWN_TYPE),
        ({"type": "purchase", "userId": "u"}, Reason.UNKNOWN_TYPE),
        ({"type": 1, "userId": "u"}, Reason.UNKNOWN_TYPE),
        ({"type": "track", "userId": "u"}, Reason.NO_EVENT_NAME),
        ({"type": "track", "event": " ", "userId": "u"}, Reason.NO_EVENT_NAME),
        ({"type": "track", "event": {}, "userId": "u"}, Reason.NO_EVENT_NAME),
        ({"type": "track", "event": "x"}, Reason.NO_IDENTIFIER),
        ({"type": "track", "event": "x", "userId": "[object Object]"}, Reason.NO_IDENTIFIER),
        ({"type": "track", "event": "x", "userId": {"id": 1}}, Reason.NO_IDENTIFIER),
        ({"type": "track", "event": "x", "userId": "0000-0000"}, Reason.NO_IDENTIFIER),
        ({"type": "alias", "previousId": "a", "anonymousId": "b"}, Reason.NO_IDENTIFIER),
        ({"type": "page", "userId": "u", "timestamp": "yesterday"}, Reason.BAD_TIMESTAMP),
        ({"type": "page", "userId": "u", "timestamp": 1772359200}, Reason.BAD_TIMESTAMP),
        ({"type": "page", "userId": "u", "timestamp": ""}, Reason.BAD_TIMESTAMP),
        ({"type": "page", "userId": "u", "properties": []}, Reason.WRONG_TYPE),
        ({"type": "page", "userId": "u", "traits": "x"}, Reason.WRONG_TYPE),
        ({"type": "page", "userId": "u", "context": 1}, Reason.WRONG_TYPE),
        ({"type": "page", "userId": "u", "properties": {"text": "x" * 65_536}}, Reason.EVENT_TOO_LARGE),
        ({"type": "page", "userId": "u", "properties": {"text": "a\0b"}}, Reason.NUL_CHARACTER),
        ({"type": "page", "userId": "u", "properties": {"a\0b": 1}}, Reason.NUL_CHARACTER),
        ({"type": "page", "userId": "u\0"}, Reason.NUL_CHARACTER),
    ],
)
def test_what_is_rejected(item: Any, reason: Reason) -> None:
    """Each fault has its reason."""
    assert reason_of(item) is reason


def test_a_backslash_that_only_looks_like_nul() -> None:
    r"""The text `\u0000`, with its backslash escaped, is no NUL."""
    assert read_one({"type": "page", "userId": "u", "properties": {"text": "\\u0000"}}).properties == {
        "text": "\\u0000"
    }


def test_nesting() -> None:
    """As deep as the limit is understood, one deeper is rejected, and a wide event is not a deep one."""

    def nested(depth: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return {"type": "page", "userId": "u", "properties": {"value": value}}

    read_one(nested(29))
    assert reason_of(nested(31)) is Reason.TOO_DEEP
    assert reason_of(nested(800)) is Reason.TOO_DEEP
    read_one({"type": "page", "userId": "u", "properties": {"products": [{"id": number} for number in range(500)]}})


def test_bad_items_among_good_ones() -> None:
    """Each item is judged alone, and a rejection keeps the item's own bytes."""
    body = (
        b'{"batch": [{"type":"page","userId":"a"}, {"type":"page","userId":"\xff"}, 5,'
        b' {"type":"page","userId":1' + b"0" * 5000 + b'}, {"type":"page","userId":"b"}]}'
    )
    items = read(body, {"tandem-intake": "segment.batch"})

    assert [item.names.user if isinstance(item, Event) else item.reason for item in items] == [
        "a",
        Reason.INVALID_JSON,
        Reason.NOT_AN_OBJECT,
        Reason.WRONG_TYPE,
        "b",
    ]
    second = items[1]
    assert isinstance(second, Rejection)
    assert (second.item, second.original) == (1, b'{"type":"page","userId":"\xff"}')


def test_half_an_emoji() -> None:
    """What JavaScript cut becomes U+FFFD; whole emoji, escaped or not, and backslashes stay."""
    properties = rb'{"a":"x\ud83d","b":"\ude00","c":"\ud83d\ude00","d":"\\ud83d"}'
    body = b'{"batch":[{"type":"page","userId":"u","properties":' + properties + b"}]}"
    (event,) = read(body, {"tandem-intake": "segment.batch"})

    assert isinstance(event, Event)
    assert event.properties == {"a": "x\ufffd", "b": "\ufffd", "c": "\U0001f600", "d": "\\ud83d"}


def test_an_event_without_a_message_id() -> None:
    """Its place in the log is its id, so that reading it again changes nothing."""
    items = read_batch({"type": "page", "userId": "a"}, {"type": "page", "userId": "a", "messageId": ""})

    assert [item.message_id for item in items if isinstance(item, Event)] == ["events.web/3/7/0", "events.web/3/7/1"]


def test_a_context_too_large_for_its_events() -> None:
    """The batch's context counts towards each event: it would be copied to all of them."""
    assert reason_of({"type": "page", "userId": "u"}, context={"page": {"url": "x" * 65_500}}) is Reason.EVENT_TOO_LARGE


def test_duplicate_keys() -> None:
    """The last one counts."""
    body = b'{"batch":[],"batch":[{"type":"page","userId":"a","userId":"b"}]}'
    (event,) = read(body, {"tandem-intake": "segment.batch"})

    assert isinstance(event, Event)
    assert event.names.user == "b"


def test_no_times_at_all() -> None:
    """It happened when it was received."""
    assert read_one({"type": "page", "userId": "u"}).occurred_at == RECEIVED_AT
