"""Requests that nobody should send, over real sockets to a running Tandem, each with a good event beside it."""

import asyncio
import gzip
import json
import zlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx
import pytest_asyncio

from services.client import TandemClient
from services.ingest.intake.hooks.providers import Provider
from tests.e2e.conftest import Install, sign_agreement
from tests.support.processes import TandemProcess, running_tandem
from tests.support.waiting import until

CALLS = ("/v1/track", "/v1/page", "/v1/screen", "/v1/identify", "/v1/group", "/v1/alias", "/v1/t", "/v1/p", "/v1/i")
BATCHES = ("/v1/batch", "/v1/b/", "/v1/import", "/beacon/v1/batch")
POSTHOG = ("/batch/", "/capture", "/e/", "/i/v0/e", "/engage", "/i/v1/analytics/events")
HOOKS = tuple(f"/v1/hooks/{provider}/source" for provider in Provider)
PATHS = (*CALLS, *BATCHES, *POSTHOG, *HOOKS, "/com.snowplowanalytics.snowplow/tp2", "/v1/events", "/v1/events/")
PIXELS = ("/i", "/ice.png", "/com.snowplowanalytics.snowplow/tp2", "/pixel/v1/track", "/pixel/v1/page", "/e/")
ANSWER_SECONDS = 20
CLIENT_SECONDS = 30


def bomb() -> bytes:
    """Return two hundred megabytes in two hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()


def wrong_types() -> list[bytes]:
    """Return calls with a value of each wrong type in each field, one at a time."""
    fields: tuple[str, ...] = (
        "type",
        "event",
        "name",
        "userId",
        "anonymousId",
        "previousId",
        "groupId",
        "messageId",
        "timestamp",
    )
    fields += ("originalTimestamp", "sentAt", "properties", "traits", "context", "integrations", "batch", "writeKey")
    fields += ("id", "source", "specversion", "time", "subject", "data", "data_base64")
    values: tuple[Any, ...] = (None, True, -1.5, "", [], {"a": {"b": []}}, "9" * 300)
    good = {"type": "track", "event": "x", "userId": "hostile", "specversion": "1.0", "id": "1", "source": "/"}
    return [json.dumps({**good, field: value}).encode() for field in fields for value in values]


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n\t",
    "half": b'{"type": "track", "ev',
    "a comma too many": b'{"type": "page", "userId": "u",}',
    "two values": b'{"type": "page"} {"type": "page"}',
    "single quotes": b"{'type': 'page'}",
    "NaN": b'{"type": "page", "userId": "u", "properties": {"n": NaN}}',
    "infinity": b'{"type": "page", "userId": "u", "properties": {"n": -Infinity}}',
    "null": b"null",
    "a number": b"5",
    "a text": b'"text"',
    "a list of lists": b"[[],[[]],{}]",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 80_000,
    "deep and closed": b'{"batch":[' + b'{"a":' * 30_000 + b"1" + b"}" * 30_000 + b"]}",
    "deep properties": b'{"type":"page","userId":"u","properties":' + b"[" * 900 + b"]" * 900 + b"}",
    "gzip bomb": bomb(),
    "gzip cut short": gzip.compress(b'{"type": "page", "userId": "u"}')[:-9],
    "gzip of gzip": gzip.compress(gzip.compress(b'{"type": "page", "userId": "u"}')),
    "gzip of garbage": gzip.compress(bytes(range(256)) * 100),
    "gzip's first bytes": b"\x1f\x8b",
    "NUL": b'{"type": "page", "userId": "u\\u0000", "name": "\\u0000"}',
    "raw NUL": b'{"type": "page", "userId": "u\x00"}',
    "lone surrogates": b'{"type": "page", "userId": "u\\ud800", "name": "\\udc00", "traits": {"\\udfff": ""}}',
    "a text of 2 MB": b'{"type": "page", "userId": "u", "name": "' + b"x" * 2_000_000 + b'"}',
    "a text of 400 KB": b'{"type": "page", "userId": "u", "name": "' + b"x" * 400_000 + b'"}',
    "a key of 400 KB": b'{"type": "page", "userId": "u", "' + b"k" * 400_000 + b'": 1}',
    "a huge integer": b'{"type": "page", "userId": 1' + b"0" * 4000 + b"}",
    "a huge exponent": b'{"type": "page", "userId": "u", "properties": {"n": 1e999999999}}',
    "a huge identifier": b'{"type": "page", "userId": 123456789012345678901234567890123456789}',
    "duplicate keys": b'{"type": "page", "type": 5, "userId": "u", "userId": [], "userId": "v"}',
    "a thousand keys": json.dumps(
        {"type": "page", "userId": "u", "properties": {f"k{n}": n for n in range(5000)}}
    ).encode(),
    "UTF-16": '{"type": "page", "userId": "u"}'.encode("utf-16"),
    "UTF-8 that is none": b'{"type": "page", "userId": "\xff\xfe\xc0\x80\xed\xa0\x80"}',
    "a byte order mark": b'\xef\xbb\xbf{"type": "page", "userId": "u"}',
    "a form": b"type=page&userId=u&data=%7B%7D",
    "XML": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
    "garbage": bytes(range(256)) * 40,
    "an empty batch": b'{"batch": []}',
    "a batch of nonsense": b'{"batch": [null, 5, "x", [], {}, {"type": []}, {"type": "page"}], "context": 5}',
    "a batch within a batch": b'{"batch": [{"batch": [{"type": "page", "userId": "u"}]}]}',
    "too many events": b'{"batch": [' + b"{}," * 50_000 + b"{}]}",
    "times out of reach": b'{"type": "page", "userId": "u", "timestamp": "9999-12-31T23:59:59Z", "sentAt": "0001"}',
    "an address that is none": b'{"type": "page", "userId": "u", "properties": {"url": "http://[::1/%zz?utm_source=%00%ff"}}',
    "an agent of a megabyte": b'{"type": "page", "userId": "u", "context": {"userAgent": "' + b"a-" * 30_000 + b'"}}',
}
QUERIES: dict[str, str] = {
    "nothing": "",
    "no fields": "&&&===&&",
    "half an escape": "e=pv&duid=u&url=%&page=%zz%",
    "escaped bytes": "e=se&uid=%ff%fe&se_ca=%ed%a0%80&se_ac=%c0%80&anonymousId=%ff&event=%fe",
    "NUL": "e=se&uid=u%00&se_ac=%00&anonymousId=u&event=%00&properties.%00=%00",
    "a name of another's": "__proto__.x=1&constructor=2&properties.__class__=3&anonymousId=u&event=x",
    "deep fields": "anonymousId=u&event=x&" + ".".join("p" * 500) + "=1",
    "fields within texts": "anonymousId=u&event=x&properties=1&properties.a=2&properties.a.b=3&.=4&..=5&a.=6&.a=7",
    "many fields": "anonymousId=u&event=x&" + "&".join(f"a{n}=" for n in range(3000)),
    "one field often": "e=pv&uid=u&" + "e=se&" * 2000,
    "a long text": "e=pv&uid=u&anonymousId=u&event=x&page=" + "x" * 30_000,
    "base64 of nothing": "e=ue&uid=u&ue_px=&cx=",
    "no base64": "e=ue&uid=u&ue_px=%C3%A9%21%21&cx=====&data=%C3%A9%21%21",
    "base64 of garbage": "e=ue&uid=u&ue_px=AAECAwQF_-4&cx=_____w&data=AAECAwQF_-4",
    "base64 of deep lists": "e=ue&uid=u&ue_px={0}&cx={0}&data={0}".format(urlsafe_b64encode(b"[" * 9000).decode()),
    "base64 of a bomb": "e=ue&uid=u&compression=gzip-js&ue_px={0}&data={0}".format(
        urlsafe_b64encode(gzip.compress(bytes(5_000_000))).decode()
    ),
    "JSON of a wrong type": "e=ue&uid=u&ue_pr=5&co=[null]&data=[null]",
    "no numbers": "e=se&uid=u&se_va=NaN&dtm=1e999&stm=-1&tr_tt=infinity&_=1e999",
    "times out of reach": "e=pv&uid=u&dtm=99999999999999999999&stm=0&timestamp=9999-12-31T23:59:59Z&anonymousId=u",
    "an unknown kind": "e=%F0%9F%92%A9&uid=u&p=x&tv=x&eid=x&aid=x",
}
MEDIA_TYPES = ("application/json", "application/cloudevents+json", "text/plain")


class Raw(NamedTuple):
    """Bytes for a socket, and whether the rest of them never comes."""

    name: str
    data: bytes
    stays_open: bool = False
    slow: bytes = b""  # sent byte by byte after the data


GOOD_BODY = b'{"type": "page", "userId": "u"}'


def raw_requests(key: str) -> list[Raw]:
    """Return requests that no client library would send."""
    top = f"POST /v1/page HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n".encode()
    chunked = top + b"Transfer-Encoding: chunked\r\n\r\n"
    return [
        Raw("chunked without end", chunked + b'5\r\n{"a":\r\n', stays_open=True),
        Raw("a chunk that lies", chunked + b"ffffffff\r\n" + GOOD_BODY, stays_open=True),
        Raw("a chunk without a number", chunked + b"zz\r\n{}\r\n0\r\n\r\n"),
        Raw("longer than it says", top + b"Content-Length: 5\r\n\r\n" + GOOD_BODY),
        Raw("shorter than it says", top + b"Content-Length: 5000\r\n\r\n" + GOOD_BODY, stays_open=True),
        Raw("a length that is none", top + b"Content-Length: -1\r\n\r\n" + GOOD_BODY),
        Raw("a length of forty digits", top + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + GOOD_BODY),
        Raw("two lengths", top + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + GOOD_BODY),
        Raw("length and chunks", top + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Raw("a flood of headers", top + b"".join(b"x-%d: y\r\n" % n for n in range(50_000)) + b"\r\n"),
        Raw("a header of a megabyte", top + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n"),
        Raw("no end of headers", top + b"x-one: 1\r\n", stays_open=True),
        Raw("a slow body", top + b"Content-Length: 31\r\n\r\n", slow=GOOD_BODY),
        Raw("slow headers", b"POST /v1/page HTTP/1.1\r\n", stays_open=True, slow=b"Host: x\r\n"),
        Raw("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
        Raw("a path of a megabyte", b"POST /v1/" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        Raw("a path with bytes", b"POST /v1/\xff\xfe?\x80=\x00 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        Raw("a method of its own", b"GRAB /v1/page HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
        Raw("expecting to continue", top + b"Expect: 100-continue\r\nContent-Length: 31\r\n\r\n" + GOOD_BODY),
    ]


@pytest_asyncio.fixture(name="tandem")
async def _tandem(install: Install) -> AsyncIterator[TandemProcess]:
    settings = {**install.settings, "TANDEM_LOG_LEVEL": "warning"}
    async with running_tandem("up", settings=settings, log=install.directory / "tandem.log") as running:
        await sign_agreement(running.url, install.keys)
        yield running


async def all_good_ones_are_counted(tandem: TandemProcess, install: Install, sent: int) -> None:
    """Wait until the contact that the good events are about has each of them, and no more."""
    async with TandemClient(tandem.url, install.keys["marketing"]) as api:
        found: list[int] = []

        async def counted() -> bool:
            contacts = (await api.get("/v1/contacts", email="good@acme.example"))["contacts"]
            found[:] = [contact["touches"] for contact in contacts]
            return found == [sent]

        await until(counted, seconds=60, what=lambda: f"{sent} good events counted, not {found}\n{tandem.log_text()}")


def good(number: int, **more: object) -> dict[str, object]:
    """Return an event that counts."""
    traits = {"traits": {"email": "good@acme.example"}}
    return {"type": "track", "event": "Seen", "messageId": f"good-{number}", "context": traits, **more}


async def test_hostile_bodies_on_every_path(tandem: TandemProcess, install: Install) -> None:
    """No 500 and no hang; each good event in the neighbourhood is counted, within the batch of a hostile one too."""
    headers = {"Authorization": f"Bearer {install.keys['source']}"}
    sent = 0
    statuses: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=tandem.url, timeout=ANSWER_SECONDS, trust_env=False) as client:

        async def post(name: str, path: str, body: bytes, media_type: str = "application/json") -> int:
            answer = await client.post(path, content=body, headers={**headers, "Content-Type": media_type})
            statuses[f"{path} {name} {media_type}"] = answer.status_code
            assert answer.headers["content-type"]
            return answer.status_code

        for name, body in BODIES.items():
            requests = [post(name, path, body) for path in PATHS]
            requests += [post(name, "/v1/events", body, media_type) for media_type in MEDIA_TYPES]
            beside = post("good", "/v1/track", json.dumps(good(sent)).encode())
            assert (await asyncio.gather(beside, *requests))[0] == 200, name
            sent += 1
        for body in wrong_types():
            await post("wrong", "/v1/track", body)
            await post("wrong", "/v1/events", body)
            item = body if len(body) < 60_000 else b"{}"
            batch = b'{"batch": [' + item + b", " + json.dumps(good(sent)).encode() + b"]}"
            assert await post("good", "/v1/batch", batch) == 200
            sent += 1
    refused = {name: status for name, status in statuses.items() if status not in {200, 400, 401, 413, 415}}

    assert refused == {}
    await all_good_ones_are_counted(tandem, install, sent)


async def test_hostile_queries_on_every_pixel(tandem: TandemProcess, install: Install) -> None:
    """No 500 and no hang; each good call in a query beside them is counted."""
    headers = {"Authorization": f"Bearer {install.keys['source']}"}
    good_query = "event=Seen&anonymousId=good&context.traits.email=good@acme.example&messageId=good-{}"
    statuses: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=tandem.url, timeout=ANSWER_SECONDS, trust_env=False) as client:

        async def get(name: str, method: str, path: str, query: str) -> int:
            answer = await client.request(method, f"{path}?{query}", headers=headers)
            statuses[f"{method} {path} {name}"] = answer.status_code
            return answer.status_code

        for number, (name, query) in enumerate(QUERIES.items()):
            requests = [get(name, method, path, query) for path in PIXELS for method in ("GET", "HEAD")]
            beside = get("good", "GET", "/pixel/v1/track", good_query.format(number))
            assert (await asyncio.gather(beside, *requests))[0] == 200, name
    refused = {name: status for name, status in statuses.items() if status not in {200, 400, 413}}

    assert refused == {}
    await all_good_ones_are_counted(tandem, install, len(QUERIES))


async def test_hostile_sockets(tandem: TandemProcess, install: Install) -> None:
    """Whatever they send or keep back, the process answers others meanwhile, and gives no 500."""
    key = install.keys["source"]
    requests = raw_requests(key)
    held: list[asyncio.StreamWriter] = []
    async with httpx.AsyncClient(base_url=tandem.url, timeout=ANSWER_SECONDS, trust_env=False) as client:
        for number, request in enumerate(requests):
            reader, writer = await asyncio.open_connection("127.0.0.1", tandem.port)
            held.append(writer)
            with suppress(ConnectionError):  # it may hang up before it has read everything
                writer.write(request.data)
                await writer.drain()
                for byte in request.slow:
                    writer.write(bytes([byte]))
                    await writer.drain()
            answer = await client.post("/v1/track", json=good(number), headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == 200, request.name
            if not request.stays_open:
                with suppress(ConnectionError):
                    line = await asyncio.wait_for(reader.readline(), CLIENT_SECONDS)
                    assert b" 50" not in line, (request.name, line)
    for writer in held:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    await all_good_ones_are_counted(tandem, install, len(requests))

    assert b"Traceback" not in tandem.log.read_bytes()
