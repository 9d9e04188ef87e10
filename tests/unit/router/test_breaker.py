"""The breaker: what only fails is left alone, except for one attempt now and then."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.breaker import Breaker, BreakerPolicy, Sign, after_attempts, given_up
from services.router.domain.outcome import Outcome, sign_of

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
PAUSE = timedelta(seconds=30)
POLICY = BreakerPolicy(
    failures=3, pause=PAUSE, longest_pause=timedelta(minutes=10), disable_after=timedelta(days=5), jitter=0.2
)


def after(
    breaker: Breaker, *signs: Sign, probe: bool = False, storm: bool = False, chance: float = 0, now: datetime = NOW
) -> Breaker:
    return after_attempts(
        breaker, [(sign, probe) for sign in signs], POLICY, mostly_failing=storm, chance=chance, now=now
    )


def test_failures_in_a_row() -> None:
    """The third failure in a row opens it; those that were under way then change nothing."""
    two = after(Breaker(), Sign.FAILED, Sign.FAILED)
    open_ = after(two, Sign.FAILED)
    late = after(open_, Sign.FAILED, Sign.FAILED, now=NOW + PAUSE / 2)

    assert (two.failures, two.open_until) == (2, None)
    assert open_ == Breaker(failures=3, failing_since=NOW, opens=1, open_until=NOW + PAUSE)
    assert (late.opens, late.open_until) == (1, NOW + PAUSE)


def test_most_of_a_minute() -> None:
    """One failure is enough where most of the last minute's attempts failed."""
    assert after(Breaker(), Sign.FAILED, storm=True).open_until == NOW + PAUSE


def test_the_attempt_that_looks() -> None:
    """It closes the breaker, or opens it for twice as long, up to a limit, with jitter on top."""
    open_ = after(Breaker(), *[Sign.FAILED] * 3)
    again = after(open_, Sign.FAILED, probe=True)
    often = Breaker(failures=30, failing_since=NOW, opens=30, open_until=NOW)

    assert after(open_, Sign.WELL, probe=True) == Breaker()
    assert again.open_until == NOW + 2 * PAUSE
    assert after(often, Sign.FAILED, probe=True, chance=1).open_until == NOW + timedelta(minutes=12)


def test_a_receiver_that_answers_but_asks_for_time() -> None:
    """Asking for time is neither; but it is an answer, and ends the looking."""
    open_ = after(Breaker(), *[Sign.FAILED] * 3)

    assert after(Breaker(failures=2, failing_since=NOW), Sign.NEITHER).failures == 2
    assert after(open_, Sign.NEITHER, probe=True).open_until is None
    assert after(open_, Sign.NEITHER) == open_


def test_days_of_nothing_but_failures() -> None:
    """An endpoint is given up when it has failed for days, and the breaker is open."""
    failing = Breaker(failures=99, failing_since=NOW - timedelta(days=5), opens=9, open_until=NOW)

    assert given_up(failing, POLICY, now=NOW)
    assert not given_up(failing, POLICY, now=NOW - timedelta(seconds=1))
    assert not given_up(Breaker(failures=1, failing_since=NOW - timedelta(days=6)), POLICY, now=NOW)


@given(st.lists(st.tuples(st.sampled_from(Sign), st.booleans()), max_size=40), st.floats(0, 1))
def test_a_success_now_and_then(signs: list[tuple[Sign, bool]], chance: float) -> None:
    """Whatever came before, a success forgets it; so what works now and then is never given up."""
    breaker = after_attempts(
        Breaker(), [*signs, (Sign.WELL, False)], POLICY, mostly_failing=False, chance=chance, now=NOW
    )

    assert breaker == Breaker()


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome(outcome: Outcome) -> None:
    """Only a delivery says that an endpoint does well."""
    assert (sign_of(outcome) is Sign.WELL) == (outcome is Outcome.DELIVERED)
