"""A handoff as it is kept: where it stands, and the message that it came with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from services.router.domain.handoff import State, Step, Taken, take
from shared.events.handoff import HandoffReady, decode_handoff


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff and where it stands."""

    id: UUID
    contact_id: UUID
    state: State
    state_since: datetime
    pool: str | None
    rep: str | None
    assignments: int
    steps: int
    reason: str | None
    owners: tuple[str, ...]
    clock_from: datetime | None
    given_at: datetime | None
    answered_at: datetime | None
    due_at: datetime | None
    waiting_decision: dict[str, Any] | None
    decided_at: datetime
    created_at: datetime
    ready: HandoffReady
    traceparent: str | None

    def taking(self, step: Step, *, at: datetime, by: str) -> Taken:
        """Return the step as the next that it takes. Raises IllegalStep."""
        return Taken(
            handoff_id=self.id,
            contact_id=self.contact_id,
            number=self.steps + 1,
            at=at,
            step=step,
            before=self.state,
            after=take(self.state, step),
            by=by,
            rep=self.rep,
            pool=self.pool,
        )


def read_handoff(row: Row[Any]) -> Handoff:
    """Read a row of handoffs."""
    return Handoff(
        id=row.id,
        contact_id=row.contact_id,
        state=State(row.state),
        state_since=row.state_since,
        pool=row.pool,
        rep=row.rep,
        assignments=row.assignments,
        steps=row.steps,
        reason=row.reason,
        owners=tuple(row.owners),
        clock_from=row.clock_from,
        given_at=row.given_at,
        answered_at=row.answered_at,
        due_at=row.due_at,
        waiting_decision=row.waiting_decision,
        decided_at=row.decided_at,
        created_at=row.created_at,
        ready=read_ready(row.document),
        traceparent=row.traceparent,
    )


def read_ready(document: bytes) -> HandoffReady:
    """Read the message that a handoff came with."""
    message = decode_handoff(document)
    assert isinstance(message, HandoffReady), "only ready handoffs are stored"
    return message
