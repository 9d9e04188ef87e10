"""One attempt over HTTP: a POST that is answered within the deadline, or the reason why not.

The deadline covers name resolution, connection, TLS, headers and body together. Redirects are not followed, the
environment's proxies are not used, and of the answer no more is read than is judged.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol

import httpx

from services.router.domain.addresses import Network
from services.router.domain.endpoint_url import UrlRefused, read_url
from services.router.domain.outcome import Outcome, Reply, outcome_of
from services.router.errors import AddressRefused, DialError, NameUnresolved
from services.router.guard import Resolve, resolve_host
from services.router.timings import Timings
from services.router.transport import ENDPOINT, ONCE, TIMINGS, TLS, EndpointTransport

EXCERPT_BYTES = 8192  # of the answer's body, which are kept
READ_BYTES = 65_536  # of it, which are judged

# In OpenSSL's names of the alerts that refuse whoever calls. The receiver has taken nothing then.
_ABOUT_US = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")


class Judge(Protocol):
    """Says what an answer amounts to, from its status, its headers and the beginning of its body."""

    def __call__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Judge one complete answer."""
        ...


def by_status(status: int, *, headers: Mapping[str, str], body: bytes) -> Outcome:  # noqa: ARG001  # a Judge
    """Judge by the status, and by whether the receiver asks for time."""
    return outcome_of(status, asks_for_time="retry-after" in headers)


@dataclass(slots=True)
class _Exchange:
    """How far an attempt has come; read when it is cut off."""

    status: int | None = None
    peer: str = ""
    body: bytearray = field(default_factory=bytearray)
    retry_after: str | None = None
    timings: Timings = field(default_factory=Timings)

    def reply(self, outcome: Outcome, error: str = "") -> Reply:
        return Reply(
            status=self.status,
            outcome=outcome,
            error=error,
            excerpt=bytes(self.body[:EXCERPT_BYTES]),
            retry_after=self.retry_after,
            peer=self.peer,
            phases=self.timings.phases,
        )


class _NoCookies(httpx.Cookies):
    """A jar that takes nothing, and spends no time on whose cookies an answer may set."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Keep none."""


class _Client(httpx.AsyncClient):
    """A client without cookies. httpx copies the jar that it is given, so that one of our own needs this property."""

    _none = _NoCookies()

    @property  # type: ignore[misc]  # read-only: nobody sets cookies here
    def cookies(self) -> httpx.Cookies:
        return self._none


class Sender:
    """Makes attempts."""

    def __init__(
        self,
        *,
        deadline: timedelta,
        allowed: Iterable[Network],
        tls: ssl.SSLContext,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._deadline = deadline
        self._transport = EndpointTransport(allowed=allowed, tls=tls, resolve=resolve, body_bytes=READ_BYTES)
        self._client = _Client(
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # httpx limits single reads; the deadline covers the attempt
        )

    async def send(
        self,
        endpoint: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        method: str = "POST",
        judge: Judge = by_status,
        tls: ssl.SSLContext | None = None,
        once: bool = False,
    ) -> Reply:
        """Make one attempt over the connections of the endpoint, and have the answer judged.

        Whatever the receiver does, this returns in time and does not raise. What is to be sent `once` is not sent again
        where a connection that was kept open turns out to have ended.
        """
        exchange = _Exchange()
        try:
            extensions = {ENDPOINT: endpoint, TLS: tls, TIMINGS: exchange.timings, ONCE: once}
            request = _request(method, _http_url(url), headers=headers, body=body, extensions=extensions)
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._exchange(request, exchange, judge)
        except TimeoutError:
            seconds = self._deadline.total_seconds()
            return exchange.reply(Outcome.TIMED_OUT, f"The answer was not complete after {seconds:g} s.")
        except (UrlRefused, DialError, httpx.TransportError) as error:
            return exchange.reply(*_classify(error))
        finally:
            exchange.timings.note("total", exchange.timings.started)

    async def close_old(self) -> None:
        """Close kept connections that are too old to trust."""
        await self._transport.close_old()

    async def aclose(self) -> None:
        """Close all kept connections."""
        await self._client.aclose()

    async def _exchange(self, request: httpx.Request, exchange: _Exchange, judge: Judge) -> Reply:
        response = await self._client.send(request, stream=True)
        exchange.timings.note("first_byte", exchange.timings.started)
        async with aclosing(response):
            exchange.status = response.status_code
            exchange.retry_after = response.headers.get("retry-after")
            address = response.extensions["network_stream"].get_extra_info("server_addr")
            exchange.peer = str(address[0]) if address else ""
            async for chunk in response.aiter_raw():
                exchange.body += chunk
        return exchange.reply(judge(response.status_code, headers=response.headers, body=bytes(exchange.body)))


def _request(
    method: str, url: httpx.URL, *, headers: Mapping[str, str], body: bytes, extensions: dict[str, Any]
) -> httpx.Request:
    """Build a request to which httpx adds no header: it has a stream, not content, and no client builds it."""
    return httpx.Request(
        method,
        url,
        headers={"Host": url.netloc.decode("ascii"), **headers, "Content-Length": str(len(body))},
        stream=httpx.ByteStream(body),
        extensions=extensions,
    )


@lru_cache(maxsize=1000)  # endpoints are few, and a URL is taken apart twice: once by our rules, once by httpx's
def _http_url(written: str) -> httpx.URL:
    url = read_url(written)
    return httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=url.target.encode("ascii"))


def _classify(error: Exception) -> tuple[Outcome, str]:
    said = str(error) or type(error).__name__
    match error:
        case AddressRefused():
            return Outcome.ADDRESS_REFUSED, said
        case NameUnresolved():
            return Outcome.NAME_UNRESOLVED, said
        case httpx.ConnectError() if _tls_error(error):
            return Outcome.TLS_FAILED, said
        case httpx.ConnectError() | UrlRefused():
            return Outcome.UNREACHABLE, said
        case httpx.NetworkError() if _refuses_certificate(_tls_error(error)):
            return Outcome.TLS_FAILED, said
        case _:
            return Outcome.BROKEN, said


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _refuses_certificate(error: ssl.SSLError | None) -> bool:
    """Tell whether the receiver wants another certificate of ours, which TLS 1.3 says only when we begin to read."""
    reason = (error.reason or "") if error else ""
    return "ALERT" in reason and any(about in reason for about in _ABOUT_US)
