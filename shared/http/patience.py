"""Connections that a server can bear: bounded in number, in the time that a request may take to come, and in its head.

uvicorn waits for heads and bodies for ever and takes a head of any size. Here the time for a head runs from the
connection's first byte of a request to the end of its headers, and from the connection itself to its first request.
A route may say that it waits no longer for a body; here the connection is closed somewhat later.
"""

import asyncio
from datetime import timedelta
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.http.bounds import Bounds
from shared.http.cross_origin import EXPOSED, any_origin
from shared.http.places import Places
from shared.http.problems import ProblemError
from shared.telemetry.metrics import Metrics

PROBES = frozenset({b"/livez", b"/readyz", b"/metrics"})
MAX_HEAD_BYTES = 65_536
RETRY_AFTER = timedelta(seconds=2)


class PatientConfig(uvicorn.Config):
    """uvicorn's configuration with the bounds that it does not know."""

    def __init__(self, app: ASGIApp, *, bounds: Bounds, metrics: Metrics, **more: Any) -> None:
        super().__init__(
            app,
            http=PatientProtocol,
            access_log=False,
            log_config=None,
            lifespan="off",
            ws="none",
            backlog=bounds.backlog,
            timeout_keep_alive=max(1, round(bounds.keep_alive.total_seconds())),
            server_header=False,
            **more,
        )
        self.bounds = bounds
        self.metrics = metrics
        self.places = Places(bounds.connections, metrics=metrics)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol within these bounds."""

    config: PatientConfig
    _head_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _amid_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a place, and begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()
        self.config.places.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and give the place back."""
        self._head_is_here()
        self._body_is_here()
        super().connection_lost(exc)
        self.config.places.leave(self)

    def data_received(self, data: bytes) -> None:
        """Take what came, and look whether more of it may follow."""
        amid_head = self._head_timer is not None
        super().data_received(data)
        if amid_head and self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refuse_head()
        elif self._amid_body and self._body_timer is None:
            seconds = self.config.bounds.body.total_seconds()
            self._body_timer = self.loop.call_later(seconds, self._cut, "slow_body")

    def on_message_begin(self) -> None:
        """Begin to wait for the headers."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop waiting; a request that finds everybody at work is refused, unless it is a probe."""
        self._head_is_here()
        self._amid_body = True
        may = self.config.places.begin(self) or self.url.partition(b"?")[0] in PROBES
        self.app = self.config.loaded_app if may else self._refuse
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting for the body; of a request that was answered before, wait for the next one."""
        self._amid_body = False
        self._body_is_here()
        super().on_message_complete()
        if self.cycle.response_complete:
            self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.config.places.end(self)

    def give_way(self) -> None:
        """Close, at once where the client does not even take its last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.config.metrics.requests_refused.labels("no_place").inc()
        origin = dict(scope["headers"]).get(b"origin")
        problem = ProblemError(
            503,
            "overloaded",
            "This process has as many connections as it may. Try again.",
            headers={
                "Retry-After": str(int(RETRY_AFTER.total_seconds())),
                "Connection": "close",
                **any_origin(origin.decode("latin-1") if origin else None),  # a page's SDK is to read it, too
                **EXPOSED,
            },
        )
        await problem.response()(scope, receive, send)

    def _refuse_head(self) -> None:
        self.config.metrics.connections_cut.labels("large_head").inc()
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        self.transport.close()

    def _await_head(self) -> None:
        if self._head_timer is None:
            seconds = self.config.bounds.head.total_seconds()
            self._head_timer = self.loop.call_later(seconds, self._cut, "slow_head")
            self._head_bytes = 0

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _body_is_here(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _cut(self, reason: str) -> None:
        self.config.metrics.connections_cut.labels(reason).inc()
        self.transport.close()
