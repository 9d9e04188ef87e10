"""The network as webhooks see it: every address is checked at the moment it is dialled.

A name is resolved once per connection, all its addresses are checked, and one of exactly these is dialled; so a name
that changes its mind between check and connection gains nothing. TLS still checks the certificate against the name,
because httpcore keeps the name for that.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

import httpcore

from services.router.domain.addresses import Network, is_allowed
from services.router.errors import AddressRefused, NameUnresolved
from services.router.sockets import dial
from services.router.timings import Timings

MOST_TRIED = 4  # addresses of one name

# Returns the addresses of a host. Raises NameUnresolved.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; an address resolves to itself."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise NameUnresolved(host) from None
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Dials public addresses and those of the allowed networks; nothing else, whatever the URL looks like."""

    def __init__(self, *, allowed: Sequence[Network], timings: Timings, resolve: Resolve = resolve_host) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._timings = timings

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the attempt's deadline covers it
        local_address: str | None = None,  # noqa: ARG002  # nobody asks for one
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002  # nobody asks for any
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses. Raises AddressRefused when any of them is not allowed."""
        started = perf_counter()
        addresses = await self._resolve(host, port)
        self._timings.note("dns", started)
        for address in addresses:
            if not is_allowed(address, self._allowed):
                raise AddressRefused(host, address)
        failure: Exception = NameUnresolved(host)
        started = perf_counter()
        for address in addresses[:MOST_TRIED]:
            try:
                stream = await dial(address, port, timings=self._timings)
            except httpcore.ConnectError as error:
                failure = error
            else:
                self._timings.note("connect", started)
                return stream
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
