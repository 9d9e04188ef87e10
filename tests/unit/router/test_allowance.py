"""Rates and concurrency of an endpoint, shared by all processes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.allowance import UNLIMITED, Limits, allowance, paid_at

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
NONE = Limits(rate=None, rate_at=None, concurrency=None, sending=0, probing=False)


def test_limits_together() -> None:
    """The smallest limit counts."""
    assert allowance(NONE, now=NOW) == UNLIMITED
    assert allowance(replace(NONE, probing=True, concurrency=5), now=NOW) == 1
    assert allowance(replace(NONE, concurrency=5, sending=3), now=NOW) == 2
    assert allowance(replace(NONE, concurrency=5, sending=9), now=NOW) == 0
    assert allowance(replace(NONE, rate=10.0), now=NOW) == 10


def test_less_than_one_a_second() -> None:
    """A rate of one in ten seconds gives one in ten seconds."""
    slow = replace(NONE, rate=0.1)
    spent = replace(slow, rate_at=paid_at(slow, given=1, now=NOW))

    assert allowance(slow, now=NOW) == 1
    assert allowance(spent, now=NOW + timedelta(seconds=9)) == 0
    assert allowance(spent, now=NOW + timedelta(seconds=10)) == 1


@given(
    st.floats(0.05, 500),
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 50)), min_size=1, max_size=40),
)
def test_any_looks(rate: float, looks: list[tuple[float, int]]) -> None:
    """However often and greedily it is looked, no more is given than the rate and a second's worth on top."""
    limits, now, given_out = replace(NONE, rate=rate), NOW, 0
    for pause, wanted in looks:
        now += timedelta(seconds=pause)
        taken = min(wanted, allowance(limits, now=now))
        limits = replace(limits, rate_at=paid_at(limits, given=taken, now=now))
        given_out += taken

    assert given_out <= rate * (now - NOW).total_seconds() + max(1.0, rate) + 0.01
