"""Webhooks in tests, with what does not matter to them filled in."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.hooks.providers import HOOKS, Provider
from services.ingest.intake.hooks.signature import HookRequest, NotVerified
from services.ingest.intake.record import hook_intake, origin_of, read_record
from tests.unit.ingest.reading import LIMITS, RECEIVED_AT

SOURCE = "mailer"


def read_hook(
    provider: Provider, body: Any, *, mapping: str = "", content_type: str = "application/json", consent: str = ""
) -> list[Event | Rejection]:
    """Read a stored webhook, of a source that may require consent; what is not bytes is sent as JSON."""
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "tandem-source": SOURCE,
        "tandem-kind": "campaign",
        "tandem-intake": hook_intake(provider),
        "content-type": content_type,
        **({"tandem-consent": consent} if consent else {}),
    }
    origin = origin_of(
        headers, topic="events.campaign", partition=3, offset=7, appended_at=RECEIVED_AT, now=RECEIVED_AT
    )
    return read_record(value, headers, origin, LIMITS, mapping_of={SOURCE: mapping}.__getitem__)


def event_in(provider: Provider, body: Any, **more: Any) -> Event:
    """Read a webhook with one event, which is understood."""
    (event,) = read_hook(provider, body, **more)
    assert isinstance(event, Event), event
    return event


def reason_in(provider: Provider, body: Any, **more: Any) -> Reason:
    """Read a webhook with one item, which is not; return why."""
    (rejection,) = read_hook(provider, body, **more)
    assert isinstance(rejection, Rejection), rejection
    assert rejection.message
    return rejection.reason


def verify(
    provider: Provider,
    body: bytes,
    headers: Mapping[str, str],
    *secrets: str,
    at: datetime = RECEIVED_AT,
    url: str = "https://tandem.example/v1/hooks/x/y",
) -> None:
    """Verify a request as the provider's. Raises NotVerified."""
    check = HOOKS[provider].verify
    assert check is not None
    named = {name.lower(): value for name, value in headers.items()}
    check(HookRequest(urls=[url], headers=named, body=body, received_at=at), secrets)


def refused(
    provider: Provider,
    body: bytes,
    headers: Mapping[str, str],
    *secrets: str,
    at: datetime = RECEIVED_AT,
    url: str = "https://tandem.example/v1/hooks/x/y",
) -> str:
    """Expect that the request is not verified; return the message."""
    with pytest.raises(NotVerified) as caught:
        verify(provider, body, headers, *secrets, at=at, url=url)
    return str(caught.value)


def instant(seconds: float) -> datetime:
    """Return the instant so many seconds after 1970."""
    return datetime.fromtimestamp(seconds, UTC)
