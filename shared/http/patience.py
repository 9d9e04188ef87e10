"""Connections whose request's head does not come in time are closed: uvicorn waits for it for ever.

The time runs from the connection's first byte of a request to the end of its headers, and from the connection itself to
its first request. How long a body may take is for its route to say.
"""

import asyncio
from datetime import timedelta

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = timedelta(seconds=10)


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit on the time that a request's head may take."""

    head_timeout = HEAD_TIMEOUT
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_is_here()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for the headers."""
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._head_is_here()
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout.total_seconds(), self.transport.close)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
