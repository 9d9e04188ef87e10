"""What a delivery becomes on the wire: the seam between a message and the system that it is for.

A destination builds the request for a message and judges what was answered. The one here speaks Standard Webhooks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.router.domain.endpoint import ClientCertificate, OAuth2, Retired
from services.router.domain.outcome import Outcome, outcome_of
from services.router.domain.signing import signatures
from services.router.domain.webhook import Message, attempt_headers


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint as an attempt needs it, secrets included."""

    name: str
    revision: int
    url: str
    secret: str
    retired: Sequence[Retired]
    headers: Mapping[str, str]
    oauth2: OAuth2 | None
    mtls: ClientCertificate | None
    retries: tuple[timedelta, ...] | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. The connection's own headers are not among these."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class Destination(Protocol):
    """How messages reach one kind of system."""

    def request(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Request:
        """Build one attempt. Raises ValueError for what cannot be built; that is a failed attempt."""
        ...

    def outcome(self, status: int, *, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Judge a complete answer; `body` is its beginning, header names are in lower case."""
        ...


class StandardWebhook:
    """The message as it is, signed; the status tells everything."""

    def request(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Request:
        """Sign the message."""
        signature = signatures(target.secret, target.retired, message_id=message.id, at=at, body=message.body)
        return Request(
            method="POST",
            url=target.url,
            headers={
                **attempt_headers(message, signature=signature, at=at, traceparent=traceparent),
                **target.headers,
            },
            body=message.body,
        )

    def outcome(self, status: int, *, headers: Mapping[str, str], body: bytes) -> Outcome:  # noqa: ARG002  # status tells
        """Judge by the status, and by whether the receiver asks for time."""
        return outcome_of(status, asks_for_time="retry-after" in headers)
