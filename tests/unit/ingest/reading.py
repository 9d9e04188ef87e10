"""Reading records in tests, with what does not matter to them filled in."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.domain.event import Event
from services.ingest.domain.rejection import Reason, Rejection
from services.ingest.intake.fields import Limits
from services.ingest.intake.record import origin_of, read_record

RECEIVED_AT = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
LIMITS = Limits(max_event_bytes=65_536, allowed_skew=timedelta(minutes=5))


def read(
    value: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    topic: str = "events.web",
    offset: int = 7,
    limits: Limits = LIMITS,
) -> list[Event | Rejection]:
    """Read the record `events.web/3@7`, unless it stands elsewhere."""
    headers = headers or {}
    origin = origin_of(headers, topic=topic, partition=3, offset=offset, appended_at=RECEIVED_AT, now=RECEIVED_AT)
    return read_record(value, headers, origin, limits)


def read_batch(*items: Any, **more: Any) -> list[Event | Rejection]:
    """Read a batch in Segment's form."""
    return read(json.dumps({"batch": items, **more}).encode(), {"tandem-intake": "segment.batch"})


def read_one(item: Any, **more: Any) -> Event:
    """Read a batch with one event, which is understood."""
    (event,) = read_batch(item, **more)
    assert isinstance(event, Event), event
    return event


def reason_of(item: Any, **more: Any) -> Reason:
    """Read a batch with one event, which is not; return why."""
    (rejection,) = read_batch(item, **more)
    assert isinstance(rejection, Rejection), rejection
    assert rejection.item == 0
    assert rejection.message
    return rejection.reason
