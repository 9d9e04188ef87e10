"""What a delivery becomes on the wire: the seam between a message and the system that it is for.

A destination is an exchange: it yields requests, is sent the answers, and returns what they amount to. Most need one.
The one here speaks Standard Webhooks; the others are in `destinations`.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from services.router.domain.brief_template import render_template
from services.router.domain.endpoint import ClientCertificate, OAuth2, Retired
from services.router.domain.kind import Kind
from services.router.domain.mapping import FieldMapping
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
    kind: Kind = Kind.WEBHOOK
    settings: Mapping[str, str] = field(default_factory=dict)
    mapping: FieldMapping = field(default_factory=dict)
    template: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)  # ids of records there that are the contact's, by name


# Ids that an answer told, by name; None: there is no such record any more.
Learned = Mapping[str, str | None]
NOTHING_LEARNED: Learned = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. The connection's own headers are not among these. `learned` is kept before it is sent.

    `makes` names the record that it makes, where nothing of the system's keeps a second one away: while another attempt
    may have made it, and the search may not know it yet, the request is not sent.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    learned: Learned = field(default_factory=dict)
    makes: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; `body` is its beginning, header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def outcome(self) -> Outcome:
        """Judge by the status, and by whether the receiver asks for time."""
        return outcome_of(self.status, asks_for_time="retry-after" in self.headers)

    def json(self) -> Any:
        """Return the body as JSON, None when it is none or longer than what was read."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


@dataclass(frozen=True, slots=True)
class Judged:
    """What an exchange amounts to. `error` says it in words where the status does not."""

    outcome: Outcome
    error: str = ""
    retry_after: str | None = None
    learned: Learned = field(default_factory=dict)


Exchange = Generator[Request, Answer, Judged]


class Destination(Protocol):
    """How messages reach one kind of system."""

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:
        """Tell the system. Raises ValueError for what cannot be built; that is a failed attempt."""
        ...


class StandardWebhook:
    """The message as it is, signed; the status tells everything."""

    def exchange(self, message: Message, target: Target, *, at: datetime, traceparent: str | None) -> Exchange:
        """Sign the message."""
        message = templated(message, target)
        signature = signatures(target.secret, target.retired, message_id=message.id, at=at, body=message.body)
        answer = yield Request(
            method="POST",
            url=target.url,
            headers={
                **attempt_headers(message, signature=signature, at=at, traceparent=traceparent),
                **target.headers,
            },
            body=message.body,
        )
        return Judged(answer.outcome())


def templated(message: Message, target: Target) -> Message:
    """Return the message with the brief's text by the endpoint's template. Raises TemplateFailed."""
    if target.template is None:
        return message
    envelope = msgspec.json.decode(message.body)
    brief = envelope["data"].get("brief")
    if brief is None:
        return message
    brief["text"] = render_template(target.template, envelope["data"])
    return Message(id=message.id, body=msgspec.json.encode(envelope))
