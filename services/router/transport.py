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
ROUTE_AGE = timedelta(seconds=60)  # then a new connection asks the resolver, and the guard, again
KEEP_ALIVE = timedelta(seconds=30)

_LOST = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


@dataclass(slots=True)
class _Route:
    """The way to one endpoint, and the connections that are kept open to it.

    httpcore's own pool looks at every connection before every request; here the last one used is simply taken.
    """

    url: EndpointUrl
    opened: float
    idle: list[httpcore.AsyncHTTPConnection] = field(default_factory=list)
    closed: bool = False


@dataclass(slots=True)
class _Exchange:
    """How far an attempt has come; read when it is cut off."""

    reused: bool = False
    status: int | None = None
    peer: str = ""
    body: bytearray = field(default_factory=bytearray)
    retry_after: str | None = None

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
    """Sends attempts."""

    def __init__(
        self,
        *,
        deadline: timedelta,
        allowed: Iterable[Network],
        tls: ssl.SSLContext,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._deadline = deadline
        self._backend = GuardedBackend(allowed=allowed, resolve=resolve)
        self._tls = tls
        self._routes: dict[str, _Route] = {}

    async def send(self, endpoint: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        """Make one attempt. Whatever the receiver does, this returns in time and does not raise."""
        try:
            route = await self._route(endpoint, read_url(url))
        except UrlRefused as error:
            return Reply(status=None, outcome=Outcome.UNREACHABLE, error=str(error))
        exchange = _Exchange()
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                while True:
                    exchange = _Exchange()
                    try:
                        await self._post(route, exchange, headers=headers, body=body)
                    except _LOST as error:
                        # A kept connection that the receiver had closed meanwhile: not an attempt, try another.
                        if not exchange.reused or exchange.status is not None:
                            return exchange.reply(Outcome.BROKEN, str(error) or type(error).__name__)
                    else:
                        assert exchange.status is not None
                        return exchange.reply(outcome_of(exchange.status))
        except TimeoutError:
            seconds = self._deadline.total_seconds()
            return exchange.reply(Outcome.TIMED_OUT, f"The answer was not complete after {seconds:g} s.")
        except (DialError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            return exchange.reply(*_classify(error))

    async def close_old(self) -> None:
        """Close kept connections that are too old to trust."""
        for endpoint, route in list(self._routes.items()):
            if _is_old(route):
                await self._close(endpoint)

    async def aclose(self) -> None:
        """Close all kept connections."""
        for endpoint in list(self._routes):
            await self._close(endpoint)

    async def _route(self, endpoint: str, url: EndpointUrl) -> _Route:
        route = self._routes.get(endpoint)
        if route and (route.url != url or _is_old(route)):
            await self._close(endpoint)
            route = None
        if route is None:
            route = self._routes[endpoint] = _Route(url=url, opened=monotonic())
        return route

    async def _close(self, endpoint: str) -> None:
        route = self._routes.pop(endpoint)
        route.closed = True
        for connection in route.idle:
            await connection.aclose()

    async def _post(self, route: _Route, exchange: _Exchange, *, headers: Mapping[str, str], body: bytes) -> None:
        connection = await self._connection(route, exchange)
        try:
            await self._exchange(connection, route.url, exchange, headers=headers, body=body)
        finally:
            if connection.is_idle() and not connection.is_closed() and not route.closed:
                route.idle.append(connection)
            else:
                await connection.aclose()

    async def _connection(self, route: _Route, exchange: _Exchange) -> httpcore.AsyncHTTPConnection:
        while route.idle:
            connection = route.idle.pop()
            if not connection.has_expired():
                exchange.reused = True
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin=_target(route.url).origin,
            ssl_context=self._tls,
            keepalive_expiry=KEEP_ALIVE.total_seconds(),
            network_backend=self._backend,
        )

    async def _exchange(
        self,
        connection: httpcore.AsyncHTTPConnection,
        url: EndpointUrl,
        exchange: _Exchange,
        *,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        request = httpcore.Request(
            "POST",
            _target(url),
            headers=[("Host", url.authority), *headers.items(), ("Content-Length", str(len(body)))],
            content=body,
        )
        response = await connection.handle_async_request(request)
        try:
            exchange.status = response.status
            exchange.retry_after = _header(response.headers, b"retry-after")
            address = response.extensions["network_stream"].get_extra_info("server_addr")
            exchange.peer = str(address[0]) if address else ""
            async with contextlib.aclosing(cast("AsyncGenerator[bytes]", response.aiter_stream())) as chunks:
                async for chunk in chunks:
                    exchange.body += chunk[: EXCERPT_BYTES - len(exchange.body)]
                    if len(exchange.body) >= EXCERPT_BYTES:
                        break
        finally:
            await response.aclose()


def _target(url: EndpointUrl) -> httpcore.URL:
    return httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)


def _is_old(route: _Route) -> bool:
    return monotonic() - route.opened > ROUTE_AGE.total_seconds()


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def _classify(error: Exception) -> tuple[Outcome, str]:
    said = str(error) or type(error).__name__
    match error:
        case AddressRefused():
            return Outcome.ADDRESS_REFUSED, said
        case NameUnresolved():
            return Outcome.NAME_UNRESOLVED, said
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
