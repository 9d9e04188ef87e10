"""An answer of sales, and the steps that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.router.domain.handoff import QUEUED, State, Step, allowed, take
from services.router.errors import IllegalStep

# The answers that a handoff has to have on its way to another.
_BEFORE = (Step.ACCEPT, Step.QUALIFY)


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says of a handoff. `rep` takes it over, when it is accepted."""

    step: Step
    by: str
    reason: str | None = None
    note: str | None = None
    objection: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rep: str | None = None


def steps_of(state: State, step: Step) -> tuple[Step, ...]:
    """Return the steps of an answer. Raises IllegalStep. What is rejected goes back to marketing at once."""
    take(state, step)
    return (step, Step.RECYCLE) if step is Step.REJECT else (step,)


def steps_to(state: State, step: Step) -> tuple[Step, ...]:
    """Return the steps that lead to an answer. Raises IllegalStep.

    A CRM tells where a lead is, not how it got there: who qualified it has accepted it.
    """
    way: list[Step] = []
    now = state
    for before in (*_BEFORE, step):
        if step in allowed(now):
            return (*way, *steps_of(now, step))
        if before in allowed(now):
            way.append(before)
            now = take(now, before)
    raise IllegalStep(step=step, state=state, allowed=allowed(state))


def needs_rep(state: State, steps: Sequence[Step]) -> bool:
    """Tell whether the steps would leave a handoff with sales that no rep has."""
    return state in QUEUED and Step.ACCEPT in steps
