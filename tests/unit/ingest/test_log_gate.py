"""The way to the log while it comes and goes."""

import itertools
from contextlib import AbstractContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.log_health import AFTER, Health, Seen
from services.ingest.log_gate import LogAway, LogGate
from shared.log.errors import LogUnavailable, TopicMissing


def _fail(gate: LogGate, error: BaseException) -> None:
    with pytest.raises(type(error)), gate.passing():
        raise error


def test_the_table_is_total() -> None:
    """Whatever is seen in whatever state, it is known what follows."""
    assert set(AFTER) == set(itertools.product(Health, Seen))


def test_the_log_goes_away_and_comes_back() -> None:
    """One request at a time tries; the others are refused without asking; one success opens the way for all."""
    gate = LogGate()
    _fail(gate, LogUnavailable("gone"))
    with gate.passing():
        with pytest.raises(LogAway):
            gate.check()
        with pytest.raises(LogAway), gate.passing():
            pass
    gate.check()
    assert gate.health is Health.UP


def test_a_trial_that_fails() -> None:
    """The next request tries."""
    gate = LogGate()
    _fail(gate, LogUnavailable("gone"))
    _fail(gate, LogUnavailable("still gone"))
    with gate.passing(), pytest.raises(LogAway):
        gate.check()
    assert gate.health is Health.UP


def test_a_trial_that_ends_for_another_reason() -> None:
    """A client that goes away while its request tries does not block the way for ever."""
    gate = LogGate()
    _fail(gate, LogUnavailable("gone"))
    _fail(gate, GeneratorExit())
    gate.check()


def test_an_answer_that_the_caller_does_not_like() -> None:
    """A missing topic is no outage."""
    gate = LogGate()
    _fail(gate, TopicMissing("events.web"))
    assert gate.health is Health.UP


@given(st.lists(st.sampled_from(["begin", "store", "fail", "leave"])))
def test_any_interleaving(steps: list[str]) -> None:
    """However appends overlap: with none under way a request always passes, so the gate never stays shut."""
    gate = LogGate()
    under_way: list[AbstractContextManager[None, bool | None]] = []
    for step in steps:
        if step == "begin":
            opening = gate.passing()
            try:
                opening.__enter__()
            except LogAway:
                assert under_way
                continue
            under_way.append(opening)
        elif under_way:
            passing = under_way.pop(0)
            error = {"store": None, "fail": LogUnavailable("gone"), "leave": KeyboardInterrupt()}[step]
            passing.__exit__(type(error) if error else None, error, None)
    for passing in under_way:
        passing.__exit__(LogUnavailable, LogUnavailable("gone"), None)
    with gate.passing():
        pass
    assert gate.health is Health.UP
