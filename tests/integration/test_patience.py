"""Connections that hold a place without ever asking for anything."""

import asyncio
import time
from datetime import timedelta

import uvicorn

from shared.http.patience import PatientProtocol
from shared.runtime import HttpServer, listen
from tests.support.waiting import until


class _Hasty(PatientProtocol):
    head_timeout = timedelta(milliseconds=300)


async def _answer(_scope: object, receive: object, send: object) -> None:
    while (await receive()).get("more_body"):  # type: ignore[operator]  # as ASGI has it
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]


async def test_heads_that_do_not_come() -> None:
    """Silent and slow connections are closed; one whose body is slow is served, and its next request too."""
    sock = listen("127.0.0.1", 0)
    server = HttpServer(uvicorn.Config(_answer, http=_Hasty, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([sock]))

    async def started() -> bool:
        return server.started

    await until(started)
    port = sock.getsockname()[1]
    for beginning in (b"", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(beginning)
        begun = time.monotonic()
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert time.monotonic() - begun > 0.2
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(0.5)  # longer than a head may take
        writer.write(b"b")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).startswith(b"HTTP/1.1 200")
    writer.close()
    server.should_exit = True
    await serving
    sock.close()
