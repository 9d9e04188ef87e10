"""An event as a source sent it, in one shape whatever the protocol."""

from datetime import datetime
from typing import Any

import msgspec

from services.ingest.domain.identifiers import Names
from shared.events.rejected import Place
from shared.events.touch import SourceKind, TouchType


class Origin(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a record came from and when Tandem had it. A replayed one comes from where it first stood."""

    topic: str
    partition: int
    offset: int
    source: str
    is_named: bool = True  # whether the record says its source; else a CloudEvent in it may
    kind: SourceKind
    received_at: datetime
    as_of: datetime | None = None  # when to decide upon it, where it was received too long ago for that
    traceparent: str | None = None
    requires_consent: str = ""  # the purpose that each event has to carry consent for
    item: int | None = None  # of a record that was one item of another, and is replayed alone
    attempt: int = 0  # how often it has been replayed

    def place(self) -> Place:
        """Return where the record stood."""
        return Place(self.topic, self.partition, self.offset, self.item)

    def unnamed(self, item: int) -> str:
        """Return what stands in for the message id of an item that has none."""
        return f"{self.topic}/{self.partition}/{self.offset}/{item + (self.item or 0)}"


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
    source: str = ""  # where the event says it, and its record does not
    consent: dict[str, Any] = {}  # what the context says of it
