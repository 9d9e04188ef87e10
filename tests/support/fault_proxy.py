"""An HTTP proxy in front of a server that fails on chosen requests: real sockets, on a free port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

UNREACHABLE = 0  # the status of a request for which there was no server, or whose answer it did not finish


@dataclass(frozen=True, slots=True)
class Passed:
    """One request: what the server said to it (None where it was not asked), and whether the sender heard that."""

    number: int
    path: str
    status: int | None
    heard: bool


# Serves one request and returns what became of it.
Fault = Callable[["FaultProxy", "Exchange"], Awaitable[Passed]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that has been read whole, and the connection that it came on."""

    number: int
    request: bytes
    writer: asyncio.StreamWriter

    def passed(self, status: int | None, *, heard: bool) -> Passed:
        """Return what became of it."""
        return Passed(self.number, self.request.split(b" ", 2)[1].decode("latin-1"), status, heard)

    async def answer(self, data: bytes) -> None:
        """Send the answer; a sender that has gone does not hear it."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection at once, and with it what was not sent yet."""
        self.writer.transport.abort()


@dataclass(slots=True)
class FaultProxy:
    """Passes requests on, each on a connection of its own. Requests are numbered from 1 as they come."""

    upstream: int
    faults: Mapping[int, Fault]
    port: int = 0
    passed: list[Passed] = field(default_factory=list)
    _count: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def stored(self) -> int:
        """How many requests the server has answered with 200, heard or not."""
        return sum(one.status == HTTPStatus.OK for one in self.passed)

    @property
    def unreachable(self) -> int:
        """How many requests found no server, or lost it."""
        return sum(one.status == UNREACHABLE for one in self.passed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the one request of a connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read_request(reader)
            self._count += 1
            fault = self.faults.get(self._count, forwards)
            self.passed.append(await fault(self, Exchange(self._count, request, writer)))
        writer.close()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send the request to the server; return the status and the whole answer."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except ConnectionError:
            return UNREACHABLE, b""
        try:
            writer.write(request)
            answer = await reader.read()
        except ConnectionError:
            return UNREACHABLE, b""
        finally:
            writer.close()
        return (int(answer.split(b" ", 2)[1]), answer) if b"\r\n\r\n" in answer else (UNREACHABLE, b"")


async def forwards(proxy: FaultProxy, exchange: Exchange) -> Passed:
    """Pass the request and its answer on; where there is no server, reset."""
    status, answer = await proxy.ask(exchange.request)
    if status == UNREACHABLE:
        exchange.reset()
    else:
        await exchange.answer(answer)
    return exchange.passed(status, heard=status != UNREACHABLE)


async def loses_the_answer(proxy: FaultProxy, exchange: Exchange) -> Passed:
    """Pass the request on and reset once the server has answered: what it stored will be sent again."""
    status, _ = await proxy.ask(exchange.request)
    exchange.reset()
    return exchange.passed(status, heard=False)


async def resets(_: FaultProxy, exchange: Exchange) -> Passed:
    """Reset before the server saw anything of the request."""
    exchange.reset()
    return exchange.passed(None, heard=False)


def answers(status: int, *, retry_after: int | None = None) -> Fault:
    """Answer in the server's place."""

    async def answer(_: FaultProxy, exchange: Exchange) -> Passed:
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "content-length: 0", "connection: close"]
        if retry_after is not None:
            lines.append(f"retry-after: {retry_after}")
        await exchange.answer("\r\n".join([*lines, "", ""]).encode())
        return exchange.passed(None, heard=True)

    return answer


@asynccontextmanager
async def open_fault_proxy(upstream: int, faults: Mapping[int, Fault] | None = None) -> AsyncIterator[FaultProxy]:
    """Listen on a free port of loopback, in front of the server on port `upstream`."""
    proxy = FaultProxy(upstream, faults or {})
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await proxy.serve(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the request as it is to be passed on: the last of its connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert "transfer-encoding" not in headers, "no SDK sends chunks; teach the proxy to read them when one does"
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    kept = [line for line in lines if line.partition(":")[0].strip().lower() != "connection"]
    return "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1") + body
