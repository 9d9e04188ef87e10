"""A connection over asyncio's own streams, in the shape that httpcore wants.

httpcore's own streams go through anyio, which costs about as much as the request itself, and leave a socket open whose
TLS handshake is cancelled. Time limits are the caller's: one deadline covers everything.
"""

import asyncio
import ssl
from time import perf_counter
from typing import Any

import httpcore

from services.router.timings import Timings


class SocketStream(httpcore.AsyncNetworkStream):
    """One open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timings: Timings) -> None:
        self._reader = reader
        self._writer = writer
        self._timings = timings

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  # see above
        """Return what came, b"" at the end. Raises ReadError."""
        try:
            return await self._reader.read(max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  # see above
        """Send the bytes. Raises WriteError."""
        if not buffer:
            return
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:  # RuntimeError: uvloop's for a transport that is closed
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close; whoever hangs at the other end is not waited for."""
        self._writer.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Continue with TLS; the certificate must be for the host's name. Raises ConnectError."""
        started = perf_counter()
        try:
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname, ssl_handshake_timeout=timeout)
        except ssl.SSLError as error:
            raise httpcore.ConnectError(str(error)) from error
        except (
            OSError
        ) as error:  # it hung up in the middle, as some do whom our certificate, or having none, displeases
            said = f"The receiver ended the TLS handshake: {error}"
            raise httpcore.ConnectError(said) from ssl.SSLError(said)
        self._timings.note("tls", started)
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return the facts that httpcore and the attempt log ask for."""
        match info:
            case "is_readable":  # of a connection that is kept: the other end has closed it
                return self._reader.at_eof() or self._writer.is_closing()
            case "server_addr":
                return self._writer.get_extra_info("peername")
            case "client_addr":
                return self._writer.get_extra_info("sockname")
            case "ssl_object" | "socket":
                return self._writer.get_extra_info(info)
            case _:
                return None


async def dial(address: str, port: int, *, timings: Timings) -> SocketStream:
    """Connect to an address, not a name. Raises ConnectError."""
    try:
        reader, writer = await asyncio.open_connection(address, port)
    except OSError as error:
        raise httpcore.ConnectError(str(error)) from error
    return SocketStream(reader, writer, timings)
