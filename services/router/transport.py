"""The way to endpoints, below httpx: addresses are checked at the dial, connections are kept for the next attempt.

It takes the place of httpx's own transport, whose pool looks at every connection before every request; here the
connection that was used last is simply taken. Time limits are the caller's.
"""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import cast

import httpcore
import httpx

from services.router.domain.addresses import Network
from services.router.guard import GuardedBackend, Resolve
from services.router.timings import Timings

# Extensions of a request.
ENDPOINT = "endpoint"  # whose connections it uses
TLS = "tls"  # the TLS settings, when they are not everybody's
TIMINGS = "timings"  # where its phases are written down
ONCE = "once"  # whether it must not be sent again by itself: then it goes over a connection of its own
ROUTE_AGE = timedelta(seconds=60)  # then a new connection asks the resolver, and the guard, again
KEEP_ALIVE = timedelta(seconds=30)

# All that is passed on of an answer's headers. With the others httpx would fail a redirect whose Location is no URL
# before anybody saw the status, and keep the receiver's cookies.
_PASSED_ON = {b"retry-after", b"ratelimit"}

_FAILED = (httpcore.NetworkError, httpcore.ProtocolError)
_LOST = (httpcore.RemoteProtocolError, httpcore.ReadError, httpcore.WriteError)


@dataclass(slots=True)
class _Route:
    """The way to one endpoint, and the connections that are kept open to it."""

    origin: httpcore.Origin
    tls: ssl.SSLContext
    opened: float
    idle: list[httpcore.AsyncHTTPConnection] = field(default_factory=list)
    closed: bool = False

    def is_old(self) -> bool:
        return monotonic() - self.opened > ROUTE_AGE.total_seconds()

    async def take(self) -> httpcore.AsyncHTTPConnection | None:
        """Return a connection that is open as far as we know."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def give_back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep the connection if it can be used again, else close it."""
        if connection.is_idle() and not connection.is_closed() and not self.closed:
            self.idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        self.closed = True
        for connection in self.idle:
            await connection.aclose()


class EndpointTransport(httpx.AsyncBaseTransport):
    """Carries requests to the endpoints that they name, and the beginnings of the answers back.

    Besides httpx's errors it raises DialError.
    """

    def __init__(self, *, allowed: Iterable[Network], tls: ssl.SSLContext, resolve: Resolve, body_bytes: int) -> None:
        """Open nothing yet. Of an answer's body no more than `body_bytes` is read."""
        self._allowed = tuple(allowed)
        self._resolve = resolve
        self._tls = tls
        self._body_bytes = body_bytes
        self._routes: dict[str, _Route] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return the answer with its body still to come."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        asked = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        tls = request.extensions.get(TLS) or self._tls
        timings = request.extensions.get(TIMINGS) or Timings()
        route = await self._route(request.extensions[ENDPOINT], url.origin, tls)
        try:
            while not request.extensions.get(ONCE) and (kept := await route.take()):
                # Lost before the answer began: the receiver had closed it meanwhile. That is not an attempt.
                with suppress(*_LOST):
                    return await self._exchange(route, kept, asked)
            return await self._exchange(route, self._connection(route, timings), asked)
        except _FAILED as error:
            raise _as_httpx(error) from error

    async def close_old(self) -> None:
        """Close kept connections that are too old to trust."""
        for endpoint, route in list(self._routes.items()):
            if route.is_old():
                del self._routes[endpoint]
                await route.aclose()

    async def aclose(self) -> None:
        """Close all kept connections."""
        while self._routes:
            _, route = self._routes.popitem()
            await route.aclose()

    async def _route(self, endpoint: str, origin: httpcore.Origin, tls: ssl.SSLContext) -> _Route:
        route = self._routes.get(endpoint)
        if route and route.origin == origin and route.tls is tls and not route.is_old():
            return route
        new = self._routes[endpoint] = _Route(origin=origin, tls=tls, opened=monotonic())
        if route:
            await route.aclose()
        return new

    def _connection(self, route: _Route, timings: Timings) -> httpcore.AsyncHTTPConnection:
        return httpcore.AsyncHTTPConnection(
            origin=route.origin,
            ssl_context=route.tls,
            keepalive_expiry=KEEP_ALIVE.total_seconds(),
            network_backend=GuardedBackend(allowed=self._allowed, resolve=self._resolve, timings=timings),
        )

    async def _exchange(
        self, route: _Route, connection: httpcore.AsyncHTTPConnection, asked: httpcore.Request
    ) -> httpx.Response:
        try:
            answer = await connection.handle_async_request(asked)
        except BaseException:
            await connection.aclose()
            raise
        return httpx.Response(
            answer.status,
            headers=[(name, value) for name, value in answer.headers if name.lower() in _PASSED_ON],
            stream=_Body(answer, route=route, connection=connection, longest=self._body_bytes),
            extensions=answer.extensions,
        )


class _Body(httpx.AsyncByteStream):
    """The beginning of an answer's body; when it is closed, the connection is free again."""

    def __init__(
        self, answer: httpcore.Response, *, route: _Route, connection: httpcore.AsyncHTTPConnection, longest: int
    ) -> None:
        self._answer = answer
        self._route = route
        self._connection = connection
        self._longest = longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._longest
        try:
            async with aclosing(cast("AsyncGenerator[bytes]", self._answer.aiter_stream())) as chunks:
                async for chunk in chunks:
                    yield chunk[:left]
                    left -= len(chunk)
                    if left <= 0:
                        break
        except _FAILED as error:
            raise _as_httpx(error) from error

    async def aclose(self) -> None:
        try:
            await self._answer.aclose()
        finally:
            await self._route.give_back(self._connection)


def _as_httpx(error: httpcore.NetworkError | httpcore.ProtocolError) -> httpx.TransportError:
    said = str(error)
    match error:
        case httpcore.ConnectError():
            return httpx.ConnectError(said)
        case httpcore.ReadError():
            return httpx.ReadError(said)
        case httpcore.WriteError():
            return httpx.WriteError(said)
        case httpcore.RemoteProtocolError():
            return httpx.RemoteProtocolError(said)
        case httpcore.LocalProtocolError():
            return httpx.LocalProtocolError(said)
        case httpcore.NetworkError():
            return httpx.NetworkError(said)
        case _:
            return httpx.ProtocolError(said)
