"""A receiver of webhooks that keeps what it got and misbehaves on demand: real sockets, on a free port."""

import asyncio
import gzip
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook

from tests.support.waiting import until

# Answers one request on an open connection; returns whether the connection may be used again.
Behaviour = Callable[["Receiver", asyncio.StreamWriter], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        """The `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def payload(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def verify(self, secret: str) -> Any:
        """Verify the signature as a receiver does, and return the payload. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass(slots=True)
class Receiver:
    """What arrived, and what the next requests get. Where nothing is scripted, the answer is 200."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    busy: int = 0
    busiest: int = 0  # requests that were being answered at once
    always: Behaviour | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)  # set: what hangs goes on
    _script: deque[Behaviour] = field(default_factory=deque)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/leads"

    def script(self, *behaviours: Behaviour) -> None:
        """Answer the next requests so, in this order."""
        self._script.extend(behaviours)

    async def wait_for(self, count: int, *, seconds: float = 20) -> list[Received]:
        """Return the first `count` requests when that many have come."""

        async def arrived() -> bool:
            return len(self.requests) >= count

        await until(arrived, seconds=seconds, what=lambda: f"{count} requests; {len(self.requests)} came")
        return self.requests[:count]

    def next_behaviour(self) -> Behaviour:
        """Take the next behaviour of the script."""
        if self._script:
            return self._script.popleft()
        return self.always or answers(200)


def answers(status: int, body: bytes = b"ok", **headers: str) -> Behaviour:
    """Answer at once. `retry_after="3"` becomes the header Retry-After."""

    async def answer(_: Receiver, writer: asyncio.StreamWriter) -> bool:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        return True

    return answer


def redirects(location: str, status: int = 307) -> Behaviour:
    """Send the sender elsewhere."""
    return answers(status, b"", location=location)


async def hangs(receiver: Receiver, _: asyncio.StreamWriter) -> bool:
    """Take the request and say nothing until released."""
    await receiver.released.wait()
    return False


async def closes(_: Receiver, __: asyncio.StreamWriter) -> bool:
    """Take the request and hang up."""
    return False


async def drips_headers(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Begin an answer and send one byte of its headers after the other, for ever."""
    return await _drip(receiver, writer, b"HTTP/1.1 200 OK\r\nx-drip: ", b"x")


async def drips_body(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Answer 200 and send one byte of the body after the other, for ever."""
    return await _drip(receiver, writer, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


async def floods(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Answer 200 with a body without end."""
    return await _drip(receiver, writer, b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n", b"f" * 65536, pause=0)


async def resets(_: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Take the request and reset the connection."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


def says(answer: bytes) -> Behaviour:
    """Answer with these bytes and hang up."""

    async def say(_: Receiver, writer: asyncio.StreamWriter) -> bool:
        writer.write(answer)
        await writer.drain()
        return False

    return say


def bomb(megabytes: int) -> Behaviour:
    """Answer 200 with a small body that is huge once it is unpacked."""
    packed = gzip.compress(bytes(megabytes * 1_000_000))
    return answers(200, packed, content_encoding="gzip", content_type="application/json")


async def endless_chunks(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Answer 200 with chunks without end, as fast as they are taken."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    return await _drip(receiver, writer, head, b"1000\r\n" + b"c" * 4096 + b"\r\n", pause=0)


async def endless_headers(receiver: Receiver, writer: asyncio.StreamWriter) -> bool:
    """Begin an answer whose headers have no end."""
    return await _drip(receiver, writer, b"HTTP/1.1 200 OK\r\n", b"x-more: " + b"h" * 4096 + b"\r\n", pause=0)


def storm(status: int = 429, **headers: str) -> Behaviour:
    """Ask for time, every time."""
    return answers(status, b"later", **headers)


async def _drip(
    receiver: Receiver, writer: asyncio.StreamWriter, first: bytes, drop: bytes, *, pause: float = 0.05
) -> bool:
    writer.write(first)
    while not receiver.released.is_set():
        writer.write(drop)
        await writer.drain()
        await asyncio.sleep(pause)
    return False


@asynccontextmanager
async def open_receiver(port: int = 0, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Listen on a free port of loopback, or on this one; with TLS when told how."""
    receiver = Receiver()
    open_connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        receiver.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await _serve(receiver, reader, writer)
        finally:
            open_connections.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.close()
        for task in list(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)


async def _serve(receiver: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reusable = True
    while reusable:
        request = await _read(reader)
        receiver.requests.append(request)
        receiver.busy += 1
        receiver.busiest = max(receiver.busiest, receiver.busy)
        try:
            reusable = await receiver.next_behaviour()(receiver, writer)
        finally:
            receiver.busy -= 1


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = head.split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = request.split(" ")
    return Received(method=method, path=path, headers=headers, body=body)
