"""One attempt over HTTP: a POST that is answered within the deadline, or the reason why not.

The deadline covers name resolution, connection, TLS, headers and body together. Redirects are not followed, the
environment's proxies are not used, and of the answer no more is read than is kept.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import cast

import httpcore

from services.router.domain.addresses import Network
from services.router.domain.endpoint_url import EndpointUrl, UrlRefused, read_url
from services.router.domain.outcome import Outcome, Reply, outcome_of
from services.router.errors import AddressRefused, DialError, NameUnresolved
from services.router.guard import GuardedBackend, Resolve, resolve_host

EXCERPT_BYTES = 8192  # of the answer's body
CLIENT_AGE = timedelta(seconds=60)  # then a new connection asks the resolver, and the guard, again
KEEP_ALIVE = timedelta(seconds=30)

# Of the deadline: the most that dialling may take, and a TLS handshake again. httpcore closes a socket whose handshake
# takes too long, but not one whose handshake is cancelled; so its own limit must strike before the deadline does.
_CONNECT_SHARE = 0.4

_LOST = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


@dataclass(slots=True)
class _Client:
    """The connections to one endpoint: one pool each, so that they do not slow each other down."""

    url: EndpointUrl
    pool: httpcore.AsyncConnectionPool
    opened: float
    users: int = 0
    retired: bool = False


@dataclass(slots=True)
class _Exchange:
    """How far an attempt has come; read when it is cut off."""

    dialled: bool = False
    status: int | None = None
    peer: str = ""
    body: bytearray = field(default_factory=bytearray)
    retry_after: str | None = None

    async def trace(self, event: str, _: Mapping[str, object]) -> None:
        if event == "connection.connect_tcp.started":
            self.dialled = True

    def reply(self, outcome: Outcome, error: str = "") -> Reply:
        return Reply(
            status=self.status,
            outcome=outcome,
            error=error,
            excerpt=bytes(self.body),
            retry_after=self.retry_after,
            peer=self.peer,
        )


class Transport:
    """Sends attempts. `connections` is the most that are open to one endpoint."""

    def __init__(
        self,
        *,
        deadline: timedelta,
        allowed: Iterable[Network],
        connections: int,
        tls: ssl.SSLContext,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._deadline = deadline
        self._backend = GuardedBackend(allowed=allowed, resolve=resolve)
        self._connections = connections
        self._tls = tls
        self._clients: dict[str, _Client] = {}

    async def send(self, endpoint: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Make one attempt. Whatever the receiver does, this returns in time and does not raise."""
        try:
            client = await self._client(endpoint, read_url(url))
        except UrlRefused as error:
            return Reply(status=None, outcome=Outcome.UNREACHABLE, error=str(error))
        exchange = _Exchange()
        client.users += 1
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                while True:
                    exchange = _Exchange()
                    try:
                        await self._post(client, exchange, headers=headers, body=body)
                    except _LOST as error:
                        # A kept connection that the receiver had closed meanwhile: not an attempt, dial anew.
                        if exchange.dialled or exchange.status is not None:
                            return exchange.reply(Outcome.BROKEN, str(error) or type(error).__name__)
                    else:
                        assert exchange.status is not None
                        return exchange.reply(outcome_of(exchange.status))
        except TimeoutError:
            seconds = self._deadline.total_seconds()
            return exchange.reply(Outcome.TIMED_OUT, f"The answer was not complete after {seconds:g} s.")
        except (DialError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            return exchange.reply(*_classify(error))
        finally:
            client.users -= 1
            if client.retired and not client.users:
                await client.pool.aclose()

    async def retire_old(self) -> None:
        """Close connections that nobody uses any more, or that are too old to trust."""
        for endpoint, client in list(self._clients.items()):
            if monotonic() - client.opened > CLIENT_AGE.total_seconds():
                await self._retire(endpoint)

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.pool.aclose()
        self._clients.clear()

    async def _client(self, endpoint: str, url: EndpointUrl) -> _Client:
        client = self._clients.get(endpoint)
        if client and (client.url != url or monotonic() - client.opened > CLIENT_AGE.total_seconds()):
            await self._retire(endpoint)
            client = None
        if client is None:
            pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                max_connections=self._connections,
                keepalive_expiry=KEEP_ALIVE.total_seconds(),
                network_backend=self._backend,
            )
            client = self._clients[endpoint] = _Client(url=url, pool=pool, opened=monotonic())
        return client

    async def _retire(self, endpoint: str) -> None:
        client = self._clients.pop(endpoint)
        client.retired = True
        if not client.users:
            await client.pool.aclose()

    async def _post(self, client: _Client, exchange: _Exchange, *, headers: Mapping[str, str], body: bytes) -> None:
        url = client.url
        async with client.pool.stream(
            "POST",
            httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target),
            headers=[("Host", url.authority), *headers.items(), ("Content-Length", str(len(body)))],
            content=body,
            extensions={
                "trace": exchange.trace,
                "timeout": {"connect": self._deadline.total_seconds() * _CONNECT_SHARE},
            },
        ) as response:
            exchange.status = response.status
            exchange.retry_after = _header(response.headers, b"retry-after")
            address = response.extensions["network_stream"].get_extra_info("server_addr")
            exchange.peer = str(address[0]) if address else ""
            async with contextlib.aclosing(cast("AsyncGenerator[bytes]", response.aiter_stream())) as chunks:
                async for chunk in chunks:
                    exchange.body += chunk[: EXCERPT_BYTES - len(exchange.body)]
                    if len(exchange.body) >= EXCERPT_BYTES:
                        break


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def _classify(error: Exception) -> tuple[Outcome, str]:
    said = str(error) or type(error).__name__
    match error:
        case AddressRefused():
            return Outcome.ADDRESS_REFUSED, said
        case NameUnresolved():
            return Outcome.NAME_UNRESOLVED, said
        case httpcore.TimeoutException():
            return Outcome.TIMED_OUT, "No connection came about in time."
        case httpcore.ConnectError() if _is_about_tls(error):
            return Outcome.TLS_FAILED, said
        case httpcore.ConnectError():
            return Outcome.UNREACHABLE, said
        case _:
            return Outcome.BROKEN, said


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None
