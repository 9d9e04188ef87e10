"""Connections that hold a place without ever asking for anything, and more of them than there are places."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared.http.bounds import Bounds
from shared.http.patience import MAX_HEAD_BYTES, PatientConfig
from shared.runtime import UNTAKEN, HttpServer, listen
from shared.telemetry.metrics import Metrics
from tests.support.waiting import until

ASK = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
PROBE = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Served:
    """A server, and the requests to `/held` that it keeps until they are let go."""

    port: int
    metrics: Metrics = field(default_factory=Metrics)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    at_work: int = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 200, when the body is there and, of `/held`, when it is let go."""
        if scope["path"] == "/early":
            await self._answer(send)
            return
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/held":
            self.at_work += 1
            await self.let_go.wait()
        if scope["path"] == "/large":
            self.at_work += 1
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"80000000")]})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(80_000), "more_body": True})
        await self._answer(send)

    async def _answer(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def connected(self, beginning: bytes = b"") -> Stream:
        """Open a connection and send what it begins with."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(beginning)
        return reader, writer

    def cut(self, reason: str) -> float:
        """Return how many connections were cut for the reason."""
        return self.metrics.registry.get_sample_value("tandem_connections_cut_total", {"reason": reason}) or 0

    def held(self) -> float:
        """Return how many connections are held."""
        return self.metrics.registry.get_sample_value("tandem_connections") or 0


@asynccontextmanager
async def serving(*, untaken: timedelta = UNTAKEN, **bounds: Any) -> AsyncIterator[Served]:
    """Serve within the bounds; at the end no place is taken."""
    sock = listen("127.0.0.1", 0, untaken=untaken)
    served = Served(sock.getsockname()[1])
    server = HttpServer(PatientConfig(served.app, bounds=Bounds(**bounds), metrics=served.metrics, interface="asgi3"))
    task = asyncio.create_task(server.serve([sock]))

    async def started() -> bool:
        return server.started

    async def empty() -> bool:
        return served.held() == 0

    try:
        await until(started)
        yield served
    finally:
        served.let_go.set()
        server.should_exit = True
        await task
        sock.close()
    await until(empty, what="all places are given back")


async def head(reader: asyncio.StreamReader) -> bytes:
    """Return the head of the answer."""
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)


async def closed(reader: asyncio.StreamReader) -> bool:
    """Tell whether the server closes the connection, having sent nothing more."""
    try:
        return await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionResetError:
        return True


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system cannot let such clients go")
async def test_an_answer_that_nobody_takes() -> None:
    """Who asks and does not read the answer loses the connection, and the place, soon after it stopped."""
    async with serving(untaken=timedelta(seconds=1)) as served:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", served.port))
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")

            async def asked() -> bool:
                return served.at_work == 1

            async def let_go() -> bool:
                return served.held() == 0

            await until(asked)
            assert served.held() == 1
            await until(let_go, seconds=30, what="the connection to be let go")


async def test_heads_that_do_not_come() -> None:
    """Silent and slow connections are closed; one whose body is slow is served, and its next request too."""
    async with serving(head=timedelta(milliseconds=300)) as served:
        for beginning in (b"", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            begun = time.monotonic()
            reader, writer = await served.connected(beginning)
            assert await closed(reader)
            assert time.monotonic() - begun > 0.2
            writer.close()
        reader, writer = await served.connected()
        for _ in range(2):
            writer.write(ASK[:-1])
            await asyncio.sleep(0.5)  # longer than a head may take
            writer.write(ASK[-1:])
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
        writer.close()
        assert served.cut("slow_head") == 2


async def test_bodies_that_do_not_come() -> None:
    """They have their time and no more, also where the answer was there before them."""
    async with serving(body=timedelta(milliseconds=300)) as served:
        for path in (b"/", b"/early"):
            reader, writer = await served.connected(ASK[:-1].replace(b" / ", b" " + path + b" "))
            if path == b"/early":
                assert (await head(reader)).startswith(b"HTTP/1.1 200")
            assert await closed(reader)
            writer.close()
        assert served.cut("slow_body") == 2


async def test_the_rest_of_a_body_after_the_answer() -> None:
    """The connection is not forgotten: the next request has to come in time, and is answered."""
    async with serving(head=timedelta(milliseconds=300)) as served:
        for asks_again in (True, False):
            reader, writer = await served.connected(ASK[:-1].replace(b" / ", b" /early "))
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
            writer.write(ASK[-1:] + (ASK if asks_again else b""))
            if asks_again:
                assert (await head(reader)).startswith(b"HTTP/1.1 200")
            else:
                assert await closed(reader)
            writer.close()


async def test_a_head_without_end() -> None:
    """It is refused once it is larger than a head may be; a large body is not."""
    async with serving() as served:
        reader, writer = await served.connected(b"GET / HTTP/1.1\r\nX: ")
        writer.write(b"x" * (MAX_HEAD_BYTES * 8))
        assert (await head(reader)).startswith(b"HTTP/1.1 431")
        writer.close()
        large = MAX_HEAD_BYTES * 8
        reader, writer = await served.connected(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % large + b"x" * large)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")
        writer.close()
        assert served.cut("large_head") == 1


async def test_more_connections_than_places() -> None:
    """Those that have waited the longest give way, silent or between two requests; new ones are served."""
    async with serving(connections=16) as served:
        asked = await served.connected(ASK)
        assert (await head(asked[0])).startswith(b"HTTP/1.1 200")
        silent = [await served.connected() for _ in range(15)]
        for _ in range(40):
            reader, writer = await served.connected(ASK)
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
        more: list[Stream] = []
        for _ in range(16):
            more.append(await served.connected(ASK))
            assert (await head(more[-1][0])).startswith(b"HTTP/1.1 200")
        for reader, writer in (asked, *silent):
            assert await closed(reader)
            writer.close()
        assert served.cut("idle") >= 16
        assert served.held() <= 16
        for _, writer in more:
            writer.close()


async def test_every_place_at_work() -> None:
    """More requests are told to come later, as pages can read; probes are answered, and what is under way goes on."""
    async with serving(connections=32) as served:
        held = [await served.connected(ASK.replace(b" / ", b" /held ")) for _ in range(30)]

        async def all_at_work() -> bool:
            return served.at_work == 30

        await until(all_at_work)
        for _ in range(100):
            reader, writer = await served.connected(
                ASK.replace(b"\r\n\r\n", b"\r\nOrigin: https://shop.example\r\n\r\n")
            )
            refusal = await head(reader)
            assert refusal.startswith(b"HTTP/1.1 503")
            assert b"\r\naccess-control-allow-origin: https://shop.example\r\n" in refusal.lower()
            assert b"\r\nretry-after: 2\r\n" in refusal.lower()
            assert b'"code":"overloaded"' in await asyncio.wait_for(reader.read(), 10)
            writer.close()
            reader, writer = await served.connected(PROBE)
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
        served.let_go.set()
        for reader, writer in held:
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
        reader, writer = await served.connected(ASK)
        assert (await head(reader)).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_slow_clients_that_take_every_place() -> None:
    """Heads that trickle in by the hundred keep nobody else from an answer."""
    async with serving(connections=32) as served:
        slow: list[socket.socket] = []
        for beginning in (ASK, PROBE) * 15:
            for _ in range(10):
                slow.append(socket.create_connection(("127.0.0.1", served.port)))
                slow[-1].send(b"GET / HTTP/1.1\r\nX: ")
            for connection in slow:
                with suppress(OSError):  # has given way
                    connection.send(b"x")
            reader, writer = await served.connected(beginning)
            assert (await head(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
        for connection in slow:
            connection.close()
        assert served.cut("idle") > 200
