"""What PostHog's paths answer, and what becomes of what they are sent."""

import gzip
import json
import zlib
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from services.ingest.posthog_api import CAPTURE_PATHS, CAPTURE_V1_PATH
from shared.events.topics import TopicName
from tests.integration.ingest.installed import WEB_KEY, Ingest
from tests.support.topic_reader import read_topic

EVENT = {"event": "Signed Up", "distinct_id": "u", "properties": {"token": WEB_KEY}}
JSON = json.dumps([EVENT]).encode()
BASE64 = b64encode(JSON)
NO_HEADERS: dict[str, str] = {}


async def test_each_path(ingest: Ingest) -> None:
    """It answers 200 with PostHog's own success, never a redirect; each event is one touch."""
    sent = []
    for path in CAPTURE_PATHS:
        for spelling in (path, f"{path}/"):
            sent.append(spelling)
            body = {**EVENT, "uuid": spelling}
            answer = await ingest.post(spelling, {"api_key": WEB_KEY, "batch": [body]}, headers=NO_HEADERS)

            assert (answer.status_code, answer.json()) == (200, {"status": 1}), spelling
    touches = await ingest.understand()

    assert len(touches) == len({touch.id for touch in touches}) == len(sent)
    assert {touch.name for touch in touches} == {"Signed Up"}
    assert await ingest.rejected() == []


@pytest.mark.parametrize(
    ("body", "query", "headers"),
    [
        (JSON, "", {"Content-Type": "application/json"}),
        (JSON, "", {"Content-Type": "text/plain"}),
        (gzip.compress(JSON), "?compression=gzip-js&_=1772366400000&ver=1.2", {"Content-Type": "text/plain"}),
        (gzip.compress(JSON), "", {"Content-Encoding": "gzip"}),
        (gzip.compress(JSON), "", {}),
        (zlib.compress(JSON), "", {"Content-Encoding": "deflate"}),
        (BASE64, "", {}),
        (b"data=" + quote(BASE64).encode(), "?compression=base64&beacon=1", {}),
        (b"data=" + quote(JSON).encode(), "", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_each_wrapping(ingest: Ingest, body: bytes, query: str, headers: dict[str, str]) -> None:
    """What is stored is the JSON that was meant."""
    answer = await ingest.post(f"/e/{query}", body, headers=headers)
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_WEB)

    assert (answer.status_code, answer.json()) == (200, {"status": 1})
    assert json.loads(record.value) == [EVENT]
    assert record.header("tandem-sent-at") == (b"2026-03-01T12:00:00+00:00" if "_=" in query else None)


async def test_by_asking(ingest: Ingest) -> None:
    """The event is in the query; who asks by HEAD leaves nothing."""
    got = await ingest.client.get("/e/", params={"data": BASE64.decode()})
    head = await ingest.client.head("/e/", params={"data": BASE64.decode()})
    nothing = await ingest.client.get("/capture")

    assert (got.status_code, got.json(), head.status_code, nothing.status_code) == (200, {"status": 1}, 200, 400)
    assert len(await ingest.understand()) == 1


@pytest.mark.parametrize(
    ("body", "query", "headers"),
    [
        ({"api_key": WEB_KEY, "batch": [{"event": "x", "distinct_id": "u"}]}, "", {}),
        ({"token": WEB_KEY, "event": "x", "distinct_id": "u"}, "", {}),
        ([{"event": "x", "distinct_id": "u"}, EVENT], "", {}),
        ({"$token": WEB_KEY, "$distinct_id": "u", "$set": {"a": 1}}, "", {}),
        ({"event": "x", "distinct_id": "u"}, f"?token={WEB_KEY}", {}),
        ({"event": "x", "distinct_id": "u"}, "", {"Authorization": f"Bearer {WEB_KEY}"}),
    ],
)
async def test_each_way_to_send_the_key(ingest: Ingest, body: Any, query: str, headers: dict[str, str]) -> None:
    """Each of them counts."""
    assert (await ingest.post(f"/engage/{query}", body, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"", "", 400, "invalid_json"),
        (b"hello", "", 400, "invalid_json"),
        (b"N4Ig", "?compression=lz64", 400, "invalid_json"),
        (b"[]", "", 400, "empty_batch"),
        (b'{"api_key": "k", "batch": []}', "", 400, "empty_batch"),
        (b'{"api_key": "k", "batch": 5}', "", 400, "wrong_type"),
        (b'{"event": "x"}', "", 401, "unauthorized"),
        (b'{"event": "x", "api_key": "phc_unknown"}', "", 401, "unauthorized"),
        (b64encode(gzip.compress(bytes(1_000_000))), "", 413, "body_too_large"),
    ],
)
async def test_what_is_refused(ingest: Ingest, body: bytes, query: str, status: int, code: str) -> None:
    """With a status that no SDK repeats, and PostHog's `detail`."""
    answer = await ingest.post(f"/batch/{query}", body, headers=NO_HEADERS)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]


async def test_a_bad_item_among_good_ones(ingest: Ingest) -> None:
    """PostHog refuses all three; here only the bad one is set aside."""
    batch = [{**EVENT, "uuid": "a"}, {"event": "x"}, {**EVENT, "uuid": "b"}]
    answer = await ingest.post("/batch/", {"api_key": WEB_KEY, "batch": batch}, headers=NO_HEADERS)

    assert answer.status_code == 200
    assert len(await ingest.understand()) == 2
    assert [one.reason for one in await ingest.rejected()] == ["no_identifier"]


async def test_capture_v1(ingest: Ingest) -> None:
    """Each id gets its result, so that the SDK knows that nothing has to be sent again."""
    headers = {"Authorization": f"Bearer {WEB_KEY}", "PostHog-Request-Timestamp": "2026-03-01T12:00:10+00:00"}
    batch = [
        {"event": "x", "uuid": "a", "distinct_id": "u", "timestamp": "2026-03-01T12:00:00Z", "options": {}},
        {"event": "y", "uuid": "b", "distinct_id": "u", "timestamp": "2026-03-01T12:00:00Z", "options": {}},
    ]
    body = {"created_at": "2026-03-01T12:00:00Z", "batch": batch}
    answer = await ingest.post(CAPTURE_V1_PATH, body, headers=headers)
    squeezed = await ingest.post(CAPTURE_V1_PATH, body, headers={**headers, "Content-Encoding": "zstd"})
    touches = await ingest.understand()

    assert (answer.status_code, answer.json()) == (200, {"results": {"a": {"result": "ok"}, "b": {"result": "ok"}}})
    assert squeezed.status_code == 415
    assert [(touch.received_at - touch.occurred_at).total_seconds() for touch in touches] == [10, 10]


async def test_a_browser_that_sends_credentials(ingest: Ingest) -> None:
    """`posthog-js` by XMLHttpRequest does; its preflight and its answer name the page's origin."""
    origin = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    preflight = await ingest.client.options("/i/v0/e/", headers=origin)
    answer = await ingest.post("/i/v0/e/", EVENT, headers=origin)

    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == "https://shop.example"
        assert one.headers["access-control-allow-credentials"] == "true"
