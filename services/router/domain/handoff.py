"""The states of a handoff, and the steps between them: the demand waterfall as one table.

Two rules for this file. Everything that moves a handoff is in `WATERFALL`: a step that is not in the row of a state
is illegal there. The table is total: a final state has an empty row.

The clock's states (`expired`, `reassigned`, `escalated`) stand in the table so that what is stored and published
about them is settled; a handoff enters them only by the steps `expire`, `reassign` and `escalate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from services.router.errors import IllegalStep


class State(StrEnum):
    """Where a handoff stands."""

    READY = "ready"  # in the queue: nobody owns it yet
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    QUALIFIED = "qualified"
    WON = "won"
    LOST = "lost"
    REJECTED = "rejected"
    RECYCLED = "recycled"  # given back to marketing
    EXPIRED = "expired"
    REASSIGNED = "reassigned"
    ESCALATED = "escalated"
    WITHDRAWN = "withdrawn"  # the contact wants to be left alone


class Step(StrEnum):
    """What happens to a handoff."""

    ASSIGN = "assign"
    RETURN = "return"  # its rep left the team: back to the queue
    ACCEPT = "accept"
    REJECT = "reject"
    RECYCLE = "recycle"
    QUALIFY = "qualify"
    WIN = "win"
    LOSE = "lose"
    EXPIRE = "expire"
    REASSIGN = "reassign"
    ESCALATE = "escalate"
    WITHDRAW = "withdraw"


WATERFALL: Mapping[State, Mapping[Step, State]] = MappingProxyType(
    {
        State.READY: {Step.ASSIGN: State.ASSIGNED, Step.WITHDRAW: State.WITHDRAWN},
        State.ASSIGNED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.EXPIRE: State.EXPIRED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.ACCEPTED: {
            Step.QUALIFY: State.QUALIFIED,
            Step.REJECT: State.REJECTED,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        # Sales talks with the person now; an opt-out from marketing does not take that away.
        State.QUALIFIED: {Step.WIN: State.WON, Step.LOSE: State.LOST},
        State.WON: {},
        State.LOST: {},
        State.REJECTED: {Step.RECYCLE: State.RECYCLED},
        State.RECYCLED: {},
        State.EXPIRED: {
            Step.REASSIGN: State.REASSIGNED,
            Step.ESCALATE: State.ESCALATED,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.REASSIGNED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.ESCALATE: State.ESCALATED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.ESCALATED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.WITHDRAWN: {},
    }
)

# These fill a rep's capacity.
OPEN = frozenset({State.ASSIGNED, State.REASSIGNED, State.ESCALATED, State.ACCEPTED})

# Steps that people take through the API, and the states in which the answer has already been given.
ANSWERED: Mapping[Step, frozenset[State]] = MappingProxyType(
    {
        Step.ACCEPT: frozenset({State.ACCEPTED}),
        Step.REJECT: frozenset({State.REJECTED, State.RECYCLED}),
        Step.QUALIFY: frozenset({State.QUALIFIED}),
        Step.WIN: frozenset({State.WON}),
        Step.LOSE: frozenset({State.LOST}),
    }
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One step that a handoff took, the `number`-th."""

    handoff_id: UUID
    contact_id: UUID
    number: int
    at: datetime
    step: Step
    before: State
    after: State
    by: str
    rep: str | None = None
    reason: str | None = None
    note: str | None = None
    decision: Mapping[str, Any] | None = None  # of an assignment, as JSON


def allowed(state: State) -> tuple[Step, ...]:
    """Return the steps that the state allows, in the table's order."""
    return tuple(WATERFALL[state])


def allows(step: Step) -> frozenset[State]:
    """Return the states that allow the step."""
    return frozenset(state for state, row in WATERFALL.items() if step in row)


def take(state: State, step: Step) -> State:
    """Return the state after the step. Raises IllegalStep."""
    after = WATERFALL[state].get(step)
    if after is None:
        raise IllegalStep(step=step, state=state, allowed=allowed(state))
    return after


def draw() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.READY}"]
    for state, row in WATERFALL.items():
        lines += [f"    {state} --> {after}: {step}" for step, after in row.items()]
        if not row:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)
