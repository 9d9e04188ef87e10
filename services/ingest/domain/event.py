"""An event as a source sent it, in one shape whatever the protocol."""

from datetime import datetime
from typing import Any

import msgspec

from services.ingest.domain.identifiers import Names
from shared.events.touch import SourceKind, TouchType


class Origin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a record came from and when Tandem had it."""

    topic: str
    partition: int
    offset: int
    source: str
    kind: SourceKind
    received_at: datetime
    traceparent: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event: what the source said, not yet what it means."""

    type: TouchType
    message_id: str
    occurred_at: datetime
    names: Names
    name: str = ""
    group_id: str = ""
    properties: dict[str, Any] = {}
    traits: dict[str, Any] = {}  # of the account in a group call, else of the contact
    page: dict[str, Any] = {}
    campaign: dict[str, Any] = {}
    user_agent: str = ""  # of the person's browser or app, as the event tells it; never that of the connection
