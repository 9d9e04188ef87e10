"""Requests that nobody should send, and that somebody does."""

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared.events.topics import TopicName
from tests.integration.ingest.installed import SALES_KEY, WEB_KEY, Ingest
from tests.support.topic_reader import read_topic

PAGE_OF_DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "events.md"

KEY = {"Authorization": f"Bearer {WEB_KEY}"}
GOOD = {"type": "page", "userId": "good"}


class Refusal(NamedTuple):
    """A request that is refused, and the answer to it."""

    status: int
    code: str
    body: bytes
    path: str = "/v1/batch"
    headers: Mapping[str, str | bytes] = KEY


def bomb() -> bytes:
    """Return a hundred megabytes in a hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()


REFUSALS = [
    Refusal(400, "invalid_json", b""),
    Refusal(400, "invalid_json", b"{"),
    Refusal(400, "invalid_json", b'{"batch": [{"a": tru}]}'),
    Refusal(400, "invalid_json", b'{"batch": [{"a": "\x00"}]}'),
    Refusal(400, "invalid_json", b'{"batch": [{"a": NaN}]}'),
    Refusal(400, "invalid_json", "{}".encode("utf-16")),
    Refusal(400, "invalid_json", b"event=x&userId=1", "/v1/track"),
    Refusal(400, "not_an_object", b"[]"),
    Refusal(400, "not_an_object", b"5", "/v1/track"),
    Refusal(400, "not_an_object", b'"{}"', "/v1/track"),
    Refusal(400, "not_an_object", b"5", "/v1/events"),
    Refusal(400, "wrong_type", b'{"batch": {}}'),
    Refusal(400, "wrong_type", b'{"batch": null}'),
    Refusal(400, "wrong_type", b'{"events": []}'),
    Refusal(400, "wrong_type", b"{}", "/v1/events", {**KEY, "ce-id": "%ff"}),
    Refusal(400, "empty_batch", b'{"batch": []}'),
    Refusal(400, "batch_too_long", json.dumps({"batch": [{}] * 2501}).encode()),
    Refusal(400, "too_deep", b'{"batch": [' + b"[" * 100_000),
    Refusal(400, "too_deep", b'{"a":' * 90_000, "/v1/track"),
    Refusal(400, "invalid_gzip", b"\x1f\x8bgarbage and more of it"),
    Refusal(400, "invalid_gzip", gzip.compress(b'{"batch": [{}]}')[:-6]),
    Refusal(400, "body_too_large", b"x" * 512_001, "/com.snowplowanalytics.snowplow/tp2"),
    Refusal(401, "unauthorized", b'{"batch": [{}]}', headers={}),
    Refusal(401, "unauthorized", b'{"batch": [{}], "writeKey": "wk_unknown"}', headers={}),
    Refusal(401, "unauthorized", b'{"batch": [{}], "writeKey": {"a": 1}}', headers={}),
    Refusal(401, "unauthorized", b'{"batch": [{}]}', headers={"Authorization": b"Basic \xff"}),
    Refusal(403, "forbidden", b'{"batch": [{}]}', headers={"Authorization": f"Bearer {SALES_KEY}"}),
    Refusal(413, "body_too_large", b"x" * 512_001),
    Refusal(413, "body_too_large", json.dumps({"batch": [{**GOOD, "name": "x" * 2_000_000}]}).encode()),
    Refusal(413, "body_too_large", bomb()),
    Refusal(415, "unsupported_format", b"\x00", "/v1/events", {**KEY, "Content-Type": "application/cloudevents+avro"}),
    Refusal(415, "unsupported_format", b"\x28\xb5\x2f\xfd", "/batch/", {**KEY, "Content-Encoding": "zstd"}),
]

# Told by other tests: they need a log that is away, and a client that hangs up.
TOLD_ELSEWHERE = {
    "unavailable",
    "incomplete_body",
    "source_disabled",
    "body_timeout",
    "rate_limited",
    "quota_exceeded",
    "overloaded",
    "sources_unknown",
}


async def test_requests_that_are_refused(ingest: Ingest) -> None:
    """Each has its status and code, a message for its sender, and leaves nothing in the log."""
    for refusal in REFUSALS:
        answer = await ingest.post(refusal.path, refusal.body, headers=refusal.headers)

        assert (answer.status_code, answer.json()["code"]) == (refusal.status, refusal.code), refusal.body[:80]
        assert answer.json()["message"]
        assert answer.headers["content-type"] == "application/problem+json"
    assert await read_topic(ingest.log, TopicName.EVENTS_WEB) == []


def test_refusals_in_the_document() -> None:
    """The page lists each code with its status, and no other."""
    listed = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE_OF_DOCUMENT.read_text(), flags=re.MULTILINE)
    told = {(refusal.code, str(refusal.status)) for refusal in REFUSALS}

    assert {(code, status) for code, status in listed if code not in TOLD_ELSEWHERE} == told


HOSTILE_ITEMS: list[tuple[bytes, str]] = [
    (b"5", "not_an_object"),
    (b"null", "not_an_object"),
    (b"[]", "not_an_object"),
    (b"{}", "unknown_type"),
    (b'{"type": "page", "userId": "\xff\xfe"}', "invalid_json"),
    (b'{"type": "page", "userId": "u", "properties": {"n": 1' + b"0" * 5000 + b"}}", "wrong_type"),
    (b'{"type": "page", "userId": "u", "properties": {"n": 1e999}}', "wrong_type"),
    (b'{"type": "page", "userId": "u", "properties": "x"}', "wrong_type"),
    (b'{"type": "page"}', "no_identifier"),
    (b'{"type": "page", "userId": "undefined"}', "no_identifier"),
    (b'{"type": "page", "userId": "u", "timestamp": "not a time"}', "bad_timestamp"),
    (b'{"type": "page", "userId": "u", "timestamp": {"$date": 5}}', "bad_timestamp"),
    (b'{"type": "page", "userId": "u", "name": "' + b"x" * 100_000 + b'"}', "event_too_large"),
    (b'{"type": "page", "userId": "u", "name": "a\\u0000b"}', "nul_character"),
    (b'{"type": "page", "userId": "u", "properties": ' + b"[" * 400 + b"]" * 400 + b"}", "too_deep"),
]
ODD_ITEMS = [
    b'{"type": "page", "userId": "good", "userId": "good", "messageId": "duplicate keys"}',
    b'{"type": "page", "userId": "good", "timestamp": "9999-12-31T23:59:59Z", "messageId": "far future"}',
    b'{"type": "page", "userId": "good", "timestamp": "0001-01-01T00:00:00Z", "messageId": "far past"}',
    b'{"type": "page", "userId": "good", "properties": {"title": "half \\ud83d"}, "messageId": "lone surrogate"}',
    b'{"type": "page", "userId": "good", "properties": {"n": 123456789012345678901234567890}, "messageId": "big"}',
    b'{"type": "page", "userId": "good", "anonymousId": "' + b"x" * 3000 + b'", "messageId": "monster id"}',
    b'{"type": "page", "userId": "good", "properties": {"url": "http://[x?utm_source=%00"}, "messageId": "bad url"}',
]


async def test_hostile_items_among_good_ones(ingest: Ingest) -> None:
    """Each is kept with its reason and its bytes; not one of its neighbours is lost."""
    items = []
    for number, (item, _) in enumerate(HOSTILE_ITEMS):
        items += [item, json.dumps({**GOOD, "messageId": f"neighbour-{number}"}).encode()]
    items += ODD_ITEMS
    answer = await ingest.post("/v1/batch", b'{"batch": [' + b", ".join(items) + b"]}")
    touches = await ingest.understand()
    rejected = await ingest.rejected()

    assert answer.status_code == 200
    assert [(one.original, one.reason) for one in rejected] == HOSTILE_ITEMS
    assert [one.item for one in rejected] == list(range(0, 2 * len(HOSTILE_ITEMS), 2))
    assert len(touches) == len(HOSTILE_ITEMS) + len(ODD_ITEMS)
    assert len({touch.contact_id for touch in touches}) == 1
    assert all(touch.occurred_at <= touch.received_at for touch in touches)


async def test_hostile_single_calls(ingest: Ingest) -> None:
    """What is an object is stored; what it lacks is told by its rejection."""
    for item, _ in HOSTILE_ITEMS:
        answer = await ingest.post("/v1/page", item)

        assert answer.status_code == (200 if item.startswith(b"{") else 400), item[:80]
    await ingest.understand()

    # The path says the type, so `{}` lacks an identifier only.
    expected = Counter(reason for item, reason in HOSTILE_ITEMS if item.startswith(b"{"))
    expected["no_identifier"] += expected.pop("unknown_type")
    assert Counter(one.reason for one in await ingest.rejected()) == expected


async def test_a_client_that_hangs_up(ingest: Ingest) -> None:
    """Half a body is no request."""
    sent: list[Any] = []
    parts = iter(
        [
            {"type": "http.request", "body": b'{"batch": [{}], "writ', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    app = ingest.app
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/batch",
        "raw_path": b"/v1/batch",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", KEY["Authorization"].encode())],
        "state": {},
    }

    async def receive() -> Any:
        return next(parts)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)

    assert sent[0]["status"] == 400
    assert b'"incomplete_body"' in sent[1]["body"]
    assert await read_topic(ingest.log, TopicName.EVENTS_WEB) == []
