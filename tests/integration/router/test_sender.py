"""What an attempt puts on the wire, and what it takes from an answer: nothing that httpx would add or keep."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network

import httpx
import pytest

from services.router.domain.outcome import Outcome
from services.router.domain.webhook import Message, attempt_headers
from services.router.sender import EXCERPT_BYTES, Sender
from shared.clock import utc_now
from tests.support.receiver import Receiver, answers, closes

HEADERS = {"webhook-id": "msg_1"}


@asynccontextmanager
async def open_sender() -> AsyncIterator[Sender]:
    sender = Sender(deadline=timedelta(seconds=5), allowed=[ip_network("127.0.0.0/8")], tls=httpx.create_ssl_context())
    try:
        yield sender
    finally:
        await sender.aclose()


@dataclass(slots=True)
class Wire:
    """A receiver that keeps the bytes of requests, and answers with these."""

    answer: bytes = b"HTTP/1.1 204 Nothing\r\n\r\n"
    port: int = 0
    heads: list[list[str]] = field(default_factory=list)  # request line and headers as they came

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n").split("\r\n")
                (length,) = [line.partition(":")[2] for line in head if line.lower().startswith("content-length")]
                await reader.readexactly(int(length))
                self.heads.append(head)
                writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def open_wire(wire: Wire) -> AsyncIterator[Wire]:
    async with await asyncio.start_server(wire.connected, "127.0.0.1", 0) as server:
        wire.port = server.sockets[0].getsockname()[1]
        yield wire


async def test_the_headers_on_the_wire() -> None:
    """A receiver gets our headers, each once, and none that httpx would add."""
    message = Message(id="msg_1", body=b'{"a": 1}')
    headers = attempt_headers(message, signature="v1,c2ln", at=utc_now(), traceparent="00-4b-f9-01")
    async with open_wire(Wire()) as wire, open_sender() as sender:
        reply = await sender.send("crm", f"http://127.0.0.1:{wire.port}/leads?x=1", headers=headers, body=message.body)

    assert reply.outcome is Outcome.DELIVERED
    assert wire.heads == [
        [
            "POST /leads?x=1 HTTP/1.1",
            f"Host: 127.0.0.1:{wire.port}",
            "content-type: application/json",
            "user-agent: Tandem-Webhooks/1",
            "accept-encoding: identity",
            "webhook-id: msg_1",
            f"webhook-timestamp: {headers['webhook-timestamp']}",
            f"webhook-signature: {headers['webhook-signature']}",
            "traceparent: 00-4b-f9-01",
            "Content-Length: 8",
        ]
    ]


async def test_a_receiver_that_sets_a_cookie() -> None:
    """A cookie is not sent back."""
    async with (
        open_wire(Wire(answer=b"HTTP/1.1 204 Nothing\r\nset-cookie: a=b; Path=/\r\n\r\n")) as wire,
        open_sender() as sender,
    ):
        for _ in range(2):
            await sender.send("crm", f"http://127.0.0.1:{wire.port}/", headers=HEADERS, body=b"{}")

    first, second = wire.heads

    assert first == second


@pytest.mark.parametrize("location", ["http://[", "//", "http://a:b:c/", "\x80", "gopher://x/", ""])
async def test_a_redirect_to_nowhere(receiver: Receiver, location: str) -> None:
    """A redirect is told as one, even if it points to what is not a URL."""
    receiver.script(answers(302, b"", location=location))
    async with open_sender() as sender:
        reply = await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")

    assert (reply.status, reply.outcome, reply.error) == (302, Outcome.REDIRECTED, "")


async def test_a_compressed_answer(receiver: Receiver) -> None:
    """A compressed answer is kept as it came: a small one could be huge once it is unpacked."""
    packed = gzip.compress(b"x" * 1_000_000)
    receiver.script(answers(200, packed, content_encoding="gzip"))
    async with open_sender() as sender:
        reply = await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")

    assert reply.excerpt == packed


async def test_answers_that_end(receiver: Receiver) -> None:
    """Attempts one after the other share a connection, until an answer is longer than what is read of it."""
    receiver.script(answers(500, b"x" * (EXCERPT_BYTES - 1)), answers(200, b""), answers(200, b"x" * 10**6))
    async with open_sender() as sender:
        replies = [await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}") for _ in range(4)]

    assert [len(reply.excerpt) for reply in replies] == [EXCERPT_BYTES - 1, 0, EXCERPT_BYTES, 2]
    assert receiver.connections == 2


async def test_what_is_to_be_sent_once(receiver: Receiver) -> None:
    """It is not sent again where a connection ends before the answer, as other requests are on one that was kept."""
    receiver.script(answers(200), closes, answers(200), closes)
    async with open_sender() as sender:
        await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")
        again = await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")
        once = await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}", once=True)

    assert (again.outcome, once.outcome) == (Outcome.DELIVERED, Outcome.BROKEN)
    assert len(receiver.requests) == 4


async def test_another_endpoint(receiver: Receiver) -> None:
    """Endpoints share no connections, even at the same address."""
    async with open_sender() as sender:
        for endpoint in ("crm", "chat", "crm", "chat"):
            await sender.send(endpoint, receiver.url, headers=HEADERS, body=b"{}")

    assert receiver.connections == 2


async def test_an_endpoint_that_moves(receiver: Receiver) -> None:
    """An endpoint whose address changed leaves its kept connections behind."""
    async with open_sender() as sender:
        await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")
        moved = await sender.send("crm", receiver.url.replace("127.0.0.1", "127.0.0.2"), headers=HEADERS, body=b"{}")
        await sender.send("crm", receiver.url, headers=HEADERS, body=b"{}")

    assert moved.outcome is Outcome.UNREACHABLE
    assert receiver.connections == 2
