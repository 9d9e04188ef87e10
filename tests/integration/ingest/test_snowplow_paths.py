"""What Snowplow's paths answer, and what becomes of what they are sent."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from services.ingest.snowplow_api import PAYLOAD_PATH, PIXEL_PATHS
from shared.events.topics import TopicName
from tests.integration.ingest.installed import CAMPAIGN_KEY, SALES_KEY, WEB_KEY, Ingest
from tests.support.topic_reader import read_topic

SCHEMA = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
PAGE = {"e": "pv", "url": "https://acme.example/pricing", "duid": "d-1", "aid": WEB_KEY}
NO_HEADERS: dict[str, str] = {}


def payload(*events: Any) -> dict[str, Any]:
    return {"schema": SCHEMA, "data": list(events)}


async def test_a_payload(ingest: Ingest) -> None:
    """200 `ok`, with and without a slash; an event sent twice is one touch's id."""
    answers = [
        await ingest.post(path, payload({**PAGE, "eid": "one"}, {**PAGE, "eid": "two"}), headers=NO_HEADERS)
        for path in (PAYLOAD_PATH, f"{PAYLOAD_PATH}/")
    ]
    touches = await ingest.understand()

    assert [(answer.status_code, answer.text) for answer in answers] == [(200, "ok")] * 2
    assert (len(touches), len({touch.id for touch in touches})) == (4, 2)
    assert {touch.path for touch in touches} == {"/pricing"}


@pytest.mark.parametrize("path", [*PIXEL_PATHS, "/i/"])
async def test_the_pixel(ingest: Ingest, path: str) -> None:
    """A picture that no cache keeps; who asks by HEAD gets its headers and leaves nothing."""
    got = await ingest.client.get(path, params={**PAGE, "eid": "one"})
    head = await ingest.client.head(path, params={**PAGE, "eid": "two"})

    for answer in (got, head):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
        assert "no-store" in answer.headers["cache-control"]
        assert "set-cookie" not in answer.headers
    assert got.content.startswith(b"GIF89a")
    assert len(await ingest.understand()) == 1


@pytest.mark.parametrize(
    ("query", "headers", "app"),
    [
        ("", {}, WEB_KEY),
        (f"?aid={WEB_KEY}", {}, "shop"),
        (f"?writeKey={WEB_KEY}", {}, "shop"),
        ("", {"Authorization": f"Bearer {WEB_KEY}"}, "shop"),
    ],
)
async def test_each_way_to_send_the_key(ingest: Ingest, query: str, headers: dict[str, str], app: str) -> None:
    """As the app id, which is all that the browser's tracker can say, or as everybody else does."""
    posted = await ingest.post(PAYLOAD_PATH + query, payload({**PAGE, "aid": app}), headers=headers)
    asked = {**PAGE, "aid": app, **dict(parse_qsl(query.removeprefix("?")))}
    got = await ingest.client.get("/i", params=asked, headers=headers)

    assert (posted.status_code, got.status_code) == (200, 200)


async def test_what_is_stored(ingest: Ingest) -> None:
    """The body as it came, the query beside it without the key, and the agent that a browser is told by."""
    body = json.dumps(payload({**PAGE, "aid": "shop", "tv": "js-4.0"})).encode()
    await ingest.post(
        f"{PAYLOAD_PATH}?writeKey={CAMPAIGN_KEY}&uid=u-1", body, headers={"User-Agent": "Mozilla/5.0 (X11)"}
    )
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_CAMPAIGN)
    (touch,) = await ingest.understand()

    assert record.value == body
    assert record.header("tandem-query") == b"uid=u-1"
    assert record.header("tandem-user-agent") == b"Mozilla/5.0 (X11)"
    assert "u-1" in {alias.value for alias in touch.aliases}


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "invalid_json"),
        (b"{}", {}, 400, "wrong_type"),
        (b'{"data": []}', {}, 400, "empty_batch"),
        (b'{"data": [{"aid": "unknown"}]}', {}, 401, "unauthorized"),
        (b'{"data": [{}]}', {"Authorization": f"Bearer {SALES_KEY}"}, 403, "forbidden"),
        (json.dumps(payload(*[{}] * 2501)).encode(), {"Authorization": f"Bearer {WEB_KEY}"}, 400, "batch_too_long"),
        (b"x" * 512_001, {}, 400, "body_too_large"),
    ],
)
async def test_what_is_refused(ingest: Ingest, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    """Only with what trackers do not repeat for ever."""
    answer = await ingest.post(PAYLOAD_PATH, body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_queries_that_are_refused(ingest: Ingest) -> None:
    """Likewise."""
    assert (await ingest.client.get("/i")).status_code == 400
    assert (await ingest.client.get("/i", params={**PAGE, "aid": "unknown"})).status_code == 401
    assert (await ingest.client.get("/i", params={"writeKey": WEB_KEY})).status_code == 400


async def test_a_bad_item_among_good_ones(ingest: Ingest) -> None:
    """It is set aside with its bytes; its neighbours are not."""
    answer = await ingest.post(PAYLOAD_PATH, payload(PAGE, {"e": "pv"}, 5, PAGE), headers=NO_HEADERS)

    assert answer.status_code == 200
    assert len(await ingest.understand()) == 2
    assert [(one.reason, one.original) for one in await ingest.rejected()] == [
        ("no_identifier", b'{"e":"pv"}'),
        ("not_an_object", b"5"),
    ]


async def test_a_browser_of_another_origin(ingest: Ingest) -> None:
    """Its tracker sends credentials, and perhaps SP-Anonymous."""
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,sp-anonymous",
    }
    preflight = await ingest.client.options(PAYLOAD_PATH, headers=headers)
    answer = await ingest.post(PAYLOAD_PATH, payload(PAGE), headers={"Origin": "https://shop.example"})

    assert preflight.headers["access-control-allow-headers"] == "content-type,sp-anonymous"
    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == "https://shop.example"
        assert one.headers["access-control-allow-credentials"] == "true"
