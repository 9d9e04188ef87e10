"""Messages about Tandem's own deliveries, to endpoints that asked for them. They name nobody."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.router.domain.endpoint import EndpointEvent
from services.router.domain.webhook import Message
from shared.ids import derived_id


def render_endpoint_disabled(endpoint: str, *, because: str, at: datetime) -> Message:
    """Render the message that an endpoint gets nothing more until somebody enables it."""
    return _render(
        EndpointEvent.ENDPOINT_DISABLED,
        identity=(endpoint, at.isoformat()),
        at=at,
        data={"endpoint": endpoint, "because": because, "disabled_at": at},
    )


def render_delivery_exhausted(
    endpoint: str, *, delivery_id: UUID, webhook_id: str, attempts: int, outcome: str, at: datetime
) -> Message:
    """Render the message that a delivery failed for the last time.

    There is one for an endpoint and hour, whose identity is the hour's: what fails, fails by the hundred.
    """
    return _render(
        EndpointEvent.DELIVERY_EXHAUSTED,
        identity=(endpoint, at.strftime("%Y-%m-%dT%H")),
        at=at,
        data={
            "endpoint": endpoint,
            "delivery": delivery_id,
            "webhook_id": webhook_id,
            "attempts": attempts,
            "last_outcome": outcome,
        },
    )


def _render(event: EndpointEvent, *, identity: tuple[str, ...], at: datetime, data: dict[str, object]) -> Message:
    return Message(
        id=f"msg_{derived_id('operational', event, *identity).hex}",
        body=msgspec.json.encode({"type": event, "timestamp": at, "data": data}),
    )
