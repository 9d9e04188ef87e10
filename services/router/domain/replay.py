"""Sending again: which deliveries, and how fast."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which deliveries: those of which everything given is true."""

    state: Sequence[DeliveryState] = (DeliveryState.DEAD,)
    endpoint: str | None = None
    outcome: str | None = None  # of the last attempt
    handoff: UUID | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


# What may be sent again. What is under way ends by itself; what is cancelled is nobody's to send.
REPLAYABLE = frozenset({DeliveryState.DEAD, DeliveryState.DELIVERED, DeliveryState.PENDING})


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Deliveries to send again: named, or all that are wanted, so many a second."""

    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=1000)] | None = None
    wanted: Wanted | None = None
    rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 20.0  # a second
    dry_run: bool = False


def replay_mistake(request: ReplayRequest) -> str | None:
    """Return what is wrong with a request, or None."""
    if (request.ids is None) == (request.wanted is None):
        return "Give either `ids`, or `wanted` with what is to be sent again."
    if request.wanted is None:
        return None
    if strange := [state for state in request.wanted.state if state not in REPLAYABLE]:
        return f"What is {strange[0]} cannot be sent again. Use one of: {', '.join(sorted(REPLAYABLE))}."
    if not request.wanted.state:
        return f"Name at least one state of: {', '.join(sorted(REPLAYABLE))}."
    for instant in (request.wanted.created_from, request.wanted.created_before):
        if instant is not None and instant.tzinfo is None:
            return "Give instants with their zone, such as 2026-03-02T10:00:00Z."
    return None
