"""The demand waterfall: one table, and nothing moves outside of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.handoff import (
    ANSWERED,
    OPEN,
    OWNED,
    QUEUED,
    WATERFALL,
    State,
    Step,
    allows,
    draw,
    is_final,
    take,
)
from services.router.errors import IllegalStep


@given(st.sampled_from(State), st.sampled_from(Step))
def test_any_state_and_step(state: State, step: Step) -> None:
    """Every pair has an answer: the state of the table, or an error that names what is allowed."""
    if step in WATERFALL[state]:
        assert take(state, step) is WATERFALL[state][step]
    else:
        with pytest.raises(IllegalStep) as raised:
            take(state, step)
        assert raised.value.allowed == tuple(WATERFALL[state])
        assert str(state) in str(raised.value)


def test_the_table_is_total() -> None:
    """No state and no step is forgotten, and every state can be reached."""
    assert set(WATERFALL) == set(State)
    assert {step for row in WATERFALL.values() for step in row} == set(Step)
    assert {after for row in WATERFALL.values() for after in row.values()} == set(State)


@pytest.mark.parametrize("state", State)
def test_final_states(state: State) -> None:
    """Only won, lost, recycled and withdrawn are the end."""
    final = {State.WON, State.LOST, State.RECYCLED, State.WITHDRAWN}

    assert is_final(state) == (state in final)
    assert is_final(state) == (state not in OWNED | QUEUED | {State.REJECTED})


def test_the_way_to_a_deal() -> None:
    """A handoff that goes well is assigned, accepted, qualified and won."""
    state = State.READY
    for step in (Step.ASSIGN, Step.ACCEPT, Step.QUALIFY, Step.WIN):
        state = take(state, step)

    assert state is State.WON


def test_answers_that_were_given_already() -> None:
    """The states in which an answer counts as given are those that its step leads to."""
    for step, states in ANSWERED.items():
        assert {WATERFALL[state][step] for state in allows(step)} <= states


def test_who_wants_to_be_left_alone() -> None:
    """A withdrawal is possible as long as sales does not talk with the person."""
    assert allows(Step.WITHDRAW) == {State.READY, State.EXPIRED, *OPEN}


def test_the_drawing() -> None:
    """The diagram has one arrow for each entry of the table."""
    arrows = [line for line in draw().splitlines() if line.strip().count(": ") == 1]

    assert len(arrows) == sum(len(row) for row in WATERFALL.values())
