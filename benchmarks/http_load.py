"""Load over HTTP: keep-alive connections that post as fast as they are answered, or at a fixed rate."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlsplit

MakeBody = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a run of requests was answered. Milliseconds are from when a request was due until its whole answer."""

    seconds: float
    milliseconds: list[float] = field(repr=False)
    refused: int

    @property
    def per_second(self) -> float:
        """Accepted requests a second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, percent: int) -> float:
        """Return the percentile of the milliseconds."""
        return statistics.quantiles(self.milliseconds, n=100)[percent - 1]


class Load:
    """Connections to one server."""

    def __init__(self, url: str, path: str, *, key: str, connections: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._connections = connections

    async def flat_out(self, make: MakeBody, *, seconds: float) -> Answers:
        """Post on every connection, each request as soon as the one before it is answered."""
        return await self._run(make, seconds=seconds, every=None)

    async def at_rate(self, make: MakeBody, *, per_second: float, seconds: float) -> Answers:
        """Post at a fixed rate, however slowly answers come: a request that has to wait for a connection counts so."""
        return await self._run(make, seconds=seconds, every=1 / per_second)

    async def _run(self, make: MakeBody, *, seconds: float, every: float | None) -> Answers:
        taken: list[float] = []
        refused = number = 0
        started = perf_counter()

        async def post() -> None:
            nonlocal refused, number
            async with self._connected() as (reader, writer):
                while True:
                    mine, number = number, number + 1
                    due = started + mine * every if every else perf_counter()
                    if due - started >= seconds:
                        return
                    if (early := due - perf_counter()) > 0:
                        await asyncio.sleep(early)
                    body = make(mine)
                    writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
                    if await _status(reader) == 200:
                        taken.append((perf_counter() - due) * 1000)
                    else:
                        refused += 1

        await asyncio.gather(*(post() for _ in range(self._connections)))
        return Answers(perf_counter() - started, taken, refused)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12])
