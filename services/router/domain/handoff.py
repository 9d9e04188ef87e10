"""The states of a handoff, and the steps between them: the demand waterfall as one table.

Two rules for this file. Everything that moves a handoff is in `WATERFALL`: a step that is not in the row of a state
is illegal there. The table is total: a final state has no step that leaves it.

In the states of `OWNED` a rep has the handoff, in those of `QUEUED` nobody has and it waits for somebody; in all others
sales has given its answer, or nobody may answer any more. So no handoff is ever without an owner or a queue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
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
    EXPIRED = "expired"  # in the queue again: its rep did not answer in time
    REASSIGNED = "reassigned"
    ESCALATED = "escalated"  # the manager of the pool has it
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
    OBJECTION = "objection"  # something that the contact holds against buying
    STORY = "story"  # what the customer tells of it
    EXPIRE = "expire"
    REASSIGN = "reassign"
    ESCALATE = "escalate"
    WITHDRAW = "withdraw"


WATERFALL: Mapping[State, Mapping[Step, State]] = MappingProxyType(
    {
        State.READY: {
            Step.ASSIGN: State.ASSIGNED,
            Step.ESCALATE: State.ESCALATED,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.ASSIGNED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.OBJECTION: State.ASSIGNED,
            Step.EXPIRE: State.EXPIRED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.ACCEPTED: {
            Step.QUALIFY: State.QUALIFIED,
            Step.REJECT: State.REJECTED,
            Step.OBJECTION: State.ACCEPTED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        # Sales talks with the person now; an opt-out from marketing does not take that away.
        State.QUALIFIED: {
            Step.WIN: State.WON,
            Step.LOSE: State.LOST,
            Step.OBJECTION: State.QUALIFIED,
        },
        State.WON: {Step.OBJECTION: State.WON, Step.STORY: State.WON},
        State.LOST: {Step.OBJECTION: State.LOST},
        State.REJECTED: {Step.RECYCLE: State.RECYCLED},
        State.RECYCLED: {Step.OBJECTION: State.RECYCLED},
        State.EXPIRED: {
            Step.REASSIGN: State.REASSIGNED,
            Step.ESCALATE: State.ESCALATED,
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.REASSIGNED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.OBJECTION: State.REASSIGNED,
            Step.EXPIRE: State.EXPIRED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.ESCALATED: {
            Step.ACCEPT: State.ACCEPTED,
            Step.REJECT: State.REJECTED,
            Step.OBJECTION: State.ESCALATED,
            Step.RETURN: State.READY,
            Step.WITHDRAW: State.WITHDRAWN,
        },
        State.WITHDRAWN: {},
    }
)

# These fill a rep's capacity.
OPEN = frozenset({State.ASSIGNED, State.REASSIGNED, State.ESCALATED, State.ACCEPTED})

OWNED = OPEN | {State.QUALIFIED}
QUEUED = frozenset({State.READY, State.EXPIRED})

# Somebody is to answer, and a clock runs; when it is escalated, only to be shown.
UNANSWERED = QUEUED | {State.ASSIGNED, State.REASSIGNED, State.ESCALATED}

# Who had a handoff last does not get it again.
MOST_OWNERS = 50

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
    pool: str | None = None
    reason: str | None = None
    note: str | None = None
    objection: str | None = None
    amount: Decimal | None = None
    currency: str | None = None  # ISO 4217
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


def is_final(state: State) -> bool:
    """Tell whether no step leaves the state."""
    return all(after is state for after in WATERFALL[state].values())


def owners_after(owners: tuple[str, ...], rep: str | None) -> tuple[str, ...]:
    """Return who had the handoff, the last of them last, after this rep's time with it ended."""
    if rep is None:
        return owners
    return (*(owner for owner in owners if owner != rep), rep)[-MOST_OWNERS:]


def draw() -> str:
    """Draw the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.READY}"]
    for state, row in WATERFALL.items():
        lines += [f"    {state} --> {after}: {step}" for step, after in row.items()]
        if is_final(state):
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines)
