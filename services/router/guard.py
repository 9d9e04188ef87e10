"""The network as webhooks see it: every address is checked at the moment it is dialled.

A name is resolved once per connection, all its addresses are checked, and one of exactly these is dialled; so a name
that changes its mind between check and connection gains nothing. TLS still checks the certificate against the name,
because httpcore keeps the name for that.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from time import monotonic
from typing import Any

import httpcore

from services.router.domain.addresses import Network, is_allowed
from services.router.errors import AddressRefused, NameUnresolved

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

    def __init__(self, *, allowed: Iterable[Network], resolve: Resolve = resolve_host) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to one of the host's addresses. Raises AddressRefused when any of them is not allowed."""
        started = monotonic()
        addresses = await self._resolve(host, port)
        if not addresses:
            raise NameUnresolved(host)
        for address in addresses:
            if not is_allowed(address, self._allowed):
                raise AddressRefused(host, address)
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses[:MOST_TRIED]:
            left = None if timeout is None else max(0.001, timeout - (monotonic() - started))
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout=left, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
