"""What sources may send, over HTTP: rates, quotas, sizes, time."""

import asyncio
import gzip
import json
from datetime import UTC, datetime
from typing import Any

from shared.events.topics import TopicName
from shared.log.protocol import EventLog
from shared.postgres.engine import open_engine
from tests.integration.ingest.installed import ADMIN_KEY, WEB_KEY, Ingest, open_test_ingest
from tests.integration.ingest.test_sources import add, send
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

PAGE = {"type": "page", "userId": "u", "messageId": "m"}


async def test_two_processes_share_a_quota(two_ingests: tuple[Ingest, Ingest]) -> None:
    """What one has accepted the other knows a moment later, and refuses what does not fit any more."""
    one, two = two_ingests
    key = await add(one, "shop", daily_quota=10)

    async def known() -> bool:
        shown = await two.client.get("/v1/sources/shop", headers={"Authorization": f"Bearer {ADMIN_KEY}"})
        return bool(shown.json()["used_today"] == 6)

    assert await send(one, key, 6) == (200, "")
    await until(known, seconds=5)
    assert await send(two, key, 5) == (429, "quota_exceeded")
    assert await send(two, key, 4) == (200, "")
    assert len(await read_topic(one.log, TopicName.EVENTS_WEB)) == 2


async def test_a_quota_outlives_its_process(database_url: str, log: EventLog) -> None:
    """What was accepted counts after a restart in good order, down to the last request."""
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    async with open_engine(database_url, name="test") as engine:
        async with open_test_ingest(engine, log, clock=lambda: now) as ingest:
            key = await add(ingest, "shop", daily_quota=10)
            assert await send(ingest, key, 10) == (200, "")
        async with open_test_ingest(engine, log, clock=lambda: now) as ingest:

            async def counted() -> bool:
                return await send(ingest, key) == (429, "quota_exceeded")

            await until(counted, seconds=5)


async def test_faster_than_the_rate(database_url: str, log: EventLog) -> None:
    """429 with the time to wait in both headers, readable for browsers, and in the shape that SDKs understand."""
    async with (
        open_engine(database_url, name="test") as engine,
        open_test_ingest(engine, log, source_rate=0.01) as ingest,
    ):
        assert (await ingest.post("/v1/page", PAGE)).status_code == 200
        refused = await ingest.post("/v1/page", PAGE)

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"] == "100"
    assert "Retry-After" in refused.headers["access-control-expose-headers"]
    assert refused.json()["message"]


async def test_larger_requests_for_one_source(ingest: Ingest) -> None:
    """Wherever the key is sent; others keep to the limits of the settings."""
    key = await add(ingest, "shop", max_body_bytes=1_000_000, max_batch_events=4_000)
    many = {"batch": [PAGE] * 3_000}
    large = {"batch": [{**PAGE, "properties": {"text": "x" * 600_000}}]}

    for body in (many, large):
        assert (await ingest.post("/v1/batch", {**body, "writeKey": key}, headers={})).status_code == 200
        assert (await ingest.post("/v1/batch", body, headers={"Authorization": f"Bearer {key}"})).status_code == 200
    packed = gzip.compress(json.dumps(large).encode())
    assert (await ingest.post("/v1/batch", packed, headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert (await ingest.post("/v1/batch", {**many, "writeKey": WEB_KEY}, headers={})).status_code == 400
    refused = await ingest.post("/v1/batch", {**large, "writeKey": WEB_KEY}, headers={})
    assert (refused.status_code, refused.json()["message"]) == (413, "Send at most 512000 bytes at once, inflated.")


async def test_a_body_that_comes_too_slowly(database_url: str, log: EventLog) -> None:
    """408, and the connection is closed; nothing of it is kept."""
    never = asyncio.Event()

    async def slowly() -> Any:
        yield b'{"batch": ['
        await never.wait()

    async with (
        open_engine(database_url, name="test") as engine,
        open_test_ingest(engine, log, body_timeout="200ms") as ingest,
    ):
        answer = await ingest.client.post("/v1/batch", content=slowly())
        text = (await ingest.client.get("/metrics")).text

    assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")
    assert answer.headers["connection"] == "close"
    assert "tandem_bytes_in_flight 0.0" in text


async def test_a_gzip_bomb_beside_others(database_url: str, log: EventLog) -> None:
    """What inflates beyond the limit is refused; what would not fit into memory waits outside."""
    bomb = gzip.compress(b"0" * 50_000_000)
    async with open_engine(database_url, name="test") as engine, open_test_ingest(engine, log) as ingest:
        assert (await ingest.post("/v1/batch", bomb)).status_code == 413
        assert (await ingest.post("/v1/page", PAGE)).status_code == 200


async def test_consent(ingest: Ingest) -> None:
    """Of a source that requires it, what has none makes no touch, is counted, and leaves nothing but the reason."""
    key = await add(ingest, "shop", requires_consent="marketing")
    given = {**PAGE, "messageId": "given", "properties": {"consent": True}}
    body = {"batch": [{**PAGE, "context": {"traits": {"email": "ada@acme.example"}}}, given], "writeKey": key}
    assert (await ingest.post("/v1/batch", body, headers={})).status_code == 200
    (touch,) = await ingest.understand()
    (rejected,) = await ingest.rejected()
    text = (await ingest.client.get("/metrics")).text

    assert touch.properties == {"consent": True}
    assert (rejected.reason, rejected.original, rejected.item) == ("no_consent", b"", 0)
    assert rejected.incomplete
    assert "ada" not in str(rejected)
    assert 'tandem_events_rejected_total{reason="no_consent"} 1.0' in text
