"""A way to PostgreSQL that is cut at the worst moment: after COMMIT was sent, before its answer came back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import make_url


@asynccontextmanager
async def cut_at_commit(url: str) -> AsyncIterator[str]:
    """Yield the URL of the way. The server gets the COMMIT; the client gets a broken connection."""
    target = make_url(url)
    assert target.host
    assert target.port
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection(target.host, target.port)
        answers = asyncio.create_task(_carry(to_server[0], writer))
        await _carry(reader, to_server[1], until=b"COMMIT")
        answers.cancel()
        await asyncio.wait([answers])
        writer.transport.abort()
        with suppress(ConnectionError):
            to_server[1].write_eof()  # the server ends the transaction before it reads that its client has gone
            while await to_server[0].read(1 << 16):
                pass
        for each in (writer, to_server[1]):
            each.close()
            with suppress(ConnectionError):
                await each.wait_closed()

    def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        await asyncio.gather(*handling)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, until: bytes = b"") -> None:
    """Carry bytes to the end, or to the first portion with `until` in it."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
            if until and until in data:
                return
