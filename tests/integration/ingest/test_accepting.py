"""What ingest answers, and what of it lies in the log then."""

import gzip
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr

from services.ingest.api import create_router, source_routes
from services.ingest.intake.record import Intake
from services.ingest.reception import Reception
from services.ingest.segment_api import SEGMENT_PATHS
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceDirectory
from shared.clock import utc_now
from shared.events.topics import TopicName
from shared.http.app import create_app
from shared.http.keys import KeyEntry, KeyRing, Role
from shared.log.postgres import open_postgres_log
from shared.postgres.engine import open_engine
from shared.service import Service
from tests.integration.ingest.installed import CAMPAIGN_KEY, WEB_KEY, Ingest, open_test_ingest
from tests.support.topic_reader import read_topic
from tests.support.waiting import until

BATCHES = {Intake.SEGMENT_BATCH, Intake.SEGMENT_IMPORT}
PAGE = {"type": "page", "userId": "u", "messageId": "m"}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

NOT_JOINED = (
    "the worker has not joined its group ingest",
    "the worker has not joined its group ingest.erasures",
)


async def test_each_path(ingest: Ingest) -> None:
    """It answers 200 itself, never with a redirect, and tells the log what the request was."""
    for path, intake in SEGMENT_PATHS.items():
        for spelling in (path, f"{path}/"):
            body = {"spelling": spelling, **({"batch": [PAGE]} if intake in BATCHES else PAGE)}
            answer = await ingest.post(spelling, body)

            assert (answer.status_code, answer.json()) == (200, {"success": True}), spelling
    stored = {
        json.loads(record.value)["spelling"]: record.header("tandem-intake")
        for record in await read_topic(ingest.log, TopicName.EVENTS_WEB)
    }

    assert stored == {
        spelling: intake.encode() for path, intake in SEGMENT_PATHS.items() for spelling in (path, f"{path}/")
    }


async def test_what_is_stored(ingest: Ingest) -> None:
    """The body as it was sent, inflated, with its source, its kind, its time and its trace."""
    before = datetime.now(UTC)
    body = b'{"batch" : [ {"a":"\\ud800", "b":"\xc3\xa9"} ]}'
    await ingest.post(
        "/v1/batch",
        gzip.compress(body),
        headers={"Authorization": f"Bearer {CAMPAIGN_KEY}", "traceparent": TRACE, "Content-Type": "text/plain"},
    )
    (record,) = await read_topic(ingest.log, TopicName.EVENTS_CAMPAIGN)

    assert record.value == body
    assert record.header("tandem-source") == b"mailer"
    assert record.header("tandem-kind") == b"campaign"
    assert record.header("traceparent") == TRACE.encode()
    received_at = datetime.fromisoformat((record.header("tandem-received-at") or b"").decode())
    assert before <= received_at <= before + timedelta(seconds=30)


BASIC = {"Authorization": "Basic " + b64encode(f"{WEB_KEY}:".encode()).decode()}
WAYS: list[tuple[dict[str, str], str, dict[str, str]]] = [
    (BASIC, "", {}),
    ({"Authorization": "Basic " + b64encode(WEB_KEY.encode()).decode()}, "", {}),
    ({"Authorization": f"Bearer {WEB_KEY}"}, "", {}),
    ({}, f"?writeKey={WEB_KEY}", {}),
    ({}, f"?access_token={WEB_KEY}", {}),
    ({}, "", {"writeKey": WEB_KEY}),
    ({"Authorization": "Bearer token-of-something-else"}, "", {"writeKey": WEB_KEY}),
    (BASIC, "", {"writeKey": "of-something-else"}),
]


async def test_each_way_to_send_the_key(ingest: Ingest) -> None:
    """Each of them counts."""
    for headers, query, more in WAYS:
        for path in ("/v1/page", "/v1/batch"):
            answer = await ingest.post(path + query, {**PAGE, "batch": [PAGE], **more}, headers=headers)

            assert answer.status_code == 200, (headers, query, more)


async def test_labels_that_lie(ingest: Ingest) -> None:
    """Neither the media type nor the encoding is believed, as SDKs get both wrong."""
    body = json.dumps({"batch": [PAGE]}).encode()
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-8",
        "no/sense",
    ):
        for label in ({}, {"Content-Encoding": "gzip"}):
            headers = {"Authorization": f"Bearer {WEB_KEY}", "Content-Type": content_type, **label}
            for content in (body, gzip.compress(body)):
                assert (await ingest.post("/v1/batch", content, headers=headers)).status_code == 200, headers


async def test_a_browser_of_another_origin(ingest: Ingest) -> None:
    """Its preflight is granted, and it may read the answer, be it a refusal, also where its SDK sends credentials."""
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = await ingest.client.options("/v1/t", headers=headers)
    refusal = await ingest.post("/v1/t", b"{", headers={"Origin": "https://shop.example"})
    accepted = await ingest.post("/v1/t", {"writeKey": WEB_KEY}, headers={"Origin": "https://shop.example"})

    assert (preflight.status_code, refusal.status_code, accepted.status_code) == (204, 400, 200)
    for answer in (preflight, refusal, accepted):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in answer.headers["vary"]
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in preflight.headers["access-control-allow-methods"]


async def test_the_handshake_of_cloudevents(ingest: Ingest) -> None:
    """A sender that asks whether it may send is told so."""
    answer = await ingest.client.options("/v1/events", headers={"WebHook-Request-Origin": "events.example"})

    assert answer.headers["webhook-allowed-origin"] == "events.example"
    assert answer.headers["webhook-allowed-rate"] == "*"
    assert "POST" in answer.headers["allow"]


EVENT = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "signed-up"}


async def test_cloudevents_in_each_form(ingest: Ingest) -> None:
    """All become touches; an empty batch is a success that leaves nothing."""
    key = {"Authorization": f"Bearer {WEB_KEY}"}
    structured = {**key, "Content-Type": "application/cloudevents+json"}
    batched = {**key, "Content-Type": "application/cloudevents-batch+json"}
    binary = {
        **key,
        "Content-Type": "application/json",
        "ce-id": '"a%20b"',
        "ce-source": "/crm/%E2%82%AC",
        "ce-type": "signed-up",
        "ce-specversion": "1.0",
        "ce-userid": "u",
    }
    answers = [
        await ingest.post("/v1/events", {**EVENT, "id": "structured", "userid": "u"}, headers=structured),
        await ingest.post("/v1/events/", [{**EVENT, "id": "batch", "userid": "u"}, {}], headers=batched),
        await ingest.post("/v1/events", {"plan": "pro"}, headers=binary),
        await ingest.post("/v1/events", [], headers=batched),
        await ingest.post("/v1/events", {**EVENT, "id": "unlabelled", "userid": "u"}, headers=key),
    ]
    touches = await ingest.understand()
    records = await read_topic(ingest.log, TopicName.EVENTS_WEB)

    assert [answer.status_code for answer in answers] == [200] * 5
    assert len(records) == 4
    assert {touch.name for touch in touches} == {"signed-up"}
    assert len({touch.id for touch in touches}) == len(touches) == 4
    assert [one.reason for one in await ingest.rejected()] == ["missing_attribute"]
    (in_headers,) = (record for record in records if record.header("ce_id"))
    assert in_headers.header("ce_id") == b"a b"
    assert in_headers.header("ce_source") == "/crm/\u20ac".encode()
    assert in_headers.header("content-type") == b"application/json"


async def test_other_methods_and_paths(ingest: Ingest) -> None:
    """They are problems, not redirects."""
    assert (await ingest.client.get("/v1/track")).status_code == 405
    assert (await ingest.client.post("/v1/tracks", json={})).status_code == 404
    assert (await ingest.client.post("/v1/track//", json={})).status_code == 404


async def test_a_call_in_a_query(ingest: Ingest) -> None:
    """RudderStack's pixel: dots are what is within, the answer is a picture, and who asks by HEAD leaves nothing."""
    query = {"writeKey": WEB_KEY, "anonymousId": "a-1", "event": "Email Opened", "properties.campaign_name": "spring"}
    pixel = await ingest.client.get("/pixel/v1/track", params=query)
    page = await ingest.client.get("/pixel/v1/page/", params={**query, "context.page.path": "/pricing"})
    head = await ingest.client.head("/pixel/v1/track", params=query)
    unknown = await ingest.client.get("/pixel/v1/track", params={**query, "writeKey": "unknown"})
    posted = await ingest.client.post("/pixel/v1/track", params=query)
    touches = sorted(await ingest.understand(), key=lambda touch: touch.type)

    answers = pixel, page, head, unknown, posted
    assert [answer.status_code for answer in answers] == [200, 200, 200, 401, 405]
    assert pixel.headers["content-type"] == "image/gif"
    assert [(touch.type, touch.name, touch.path) for touch in touches] == [
        ("page", "", "/pricing"),
        ("track", "Email Opened", ""),
    ]
    assert touches[1].properties == {"campaign_name": "spring"}
    assert WEB_KEY not in str(await read_topic(ingest.log, TopicName.EVENTS_WEB))


async def test_what_is_counted(ingest: Ingest) -> None:
    """Accepted events by source, refused requests by reason."""
    await ingest.post("/v1/batch", {"batch": [PAGE, PAGE]})
    await ingest.post("/v1/batch", {"batch": []})
    text = (await ingest.client.get("/metrics")).text

    assert 'tandem_events_accepted_total{source="website"} 2.0' in text
    assert 'tandem_requests_refused_total{reason="empty_batch"} 1.0' in text
    assert 'route="/v1/batch"' in text


async def test_readiness(ingest: Ingest) -> None:
    """Ready once the workers have joined their groups."""
    assert await ingest.service.readiness() == NOT_JOINED

    async def joined() -> bool:
        return await ingest.service.readiness() == NOT_JOINED[1:]

    async with ingest.understanding():
        await until(joined, what="the worker in its group")

        assert ingest.service.liveness() == ()
    assert await ingest.service.readiness() == NOT_JOINED


async def test_a_topic_is_missing(database_url: str) -> None:
    """503 as well: once somebody has created it, the sender's next try is stored."""
    async with (
        open_engine(database_url, name="test") as engine,
        open_postgres_log(database_url, name="test") as log,
        open_test_ingest(engine, log) as ingest,
    ):
        answer = await ingest.post("/v1/page", PAGE)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_the_log_is_away(ingest: Ingest) -> None:
    """503 with Retry-After: nothing was promised, and the sender knows to come back."""
    async with open_postgres_log("postgresql://nobody@127.0.0.1:9/none", name="test") as gone:
        reception = Reception(
            log=gone,
            sources=SourceDirectory(KeyRing([KeyEntry(Role.SOURCE, "website", WEB_KEY, "web")])),
            clock=utc_now,
            metrics=ingest.metrics,
            settings=IngestSettings(database_url=SecretStr("")),
        )
        service = Service("ingest", create_router(source_routes(reception)), {}, ingest.service.readiness)
        app = create_app([service], metrics=ingest.metrics, draining=lambda: False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ingest.example") as client:
            answer = await client.post("/v1/track", json={"writeKey": WEB_KEY})

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["message"]
