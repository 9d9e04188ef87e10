"""When engagement will fall below a level."""

from math import exp2

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.scorer.domain.cooling import falls_below
from services.scorer.domain.instants import DAY

H = 30 * DAY


def worth(sums: list[float], caps: list[float], days: float) -> float:
    """Return what the groups add up to so many days later."""
    return sum(min(cap, amount * exp2(-days * DAY / H)) for amount, cap in zip(sums, caps, strict=True))


@pytest.mark.parametrize(
    ("sums", "caps", "level", "days"),
    [
        ([80.0], [40.0], 20.0, 60),  # held at 40 for 30 days, 20 after 60
        ([70.0], [100.0], 35.0, 30),  # half after one half-life
        ([40.0, 40.0], [20.0, 100.0], 40.0, 30),  # the cap lets go at x = 1/2: 20 + 40/2
        ([40.0, 40.0], [20.0, 100.0], 20.0, 60),  # both free by then: 80/4
        ([34.0], [100.0], 35.0, 0),
        ([60.0, -10.0], [100.0, 20.0], 25.0, 30),  # 50 / 2
        ([60.0], [100.0], 0.0, None),
        ([], [], 1.0, 0),
    ],
)
def test_a_fall(sums: list[float], caps: list[float], level: float, days: float | None) -> None:
    """The day on which the sum within the caps reaches the level."""
    found = falls_below(sums, caps, level=level, half_life=H)

    if days is None:
        assert found is None
    else:
        assert found == pytest.approx(days * DAY)


amounts = st.floats(-200, 500, allow_nan=False).map(lambda amount: round(amount, 3))
bounds = st.floats(0, 100, allow_nan=False).map(lambda cap: round(cap, 2))


@given(st.lists(st.tuples(amounts, bounds), min_size=1, max_size=6), st.floats(0.5, 99))
def test_the_closed_form_agrees_with_bisection(groups: list[tuple[float, float]], level: float) -> None:
    """The instant found is the one that halving the interval finds."""
    sums, caps = [amount for amount, _ in groups], [cap for _, cap in groups]
    assume(worth(sums, caps, 0) > level + 1e-6)

    found = falls_below(sums, caps, level=level, half_life=H)

    low, high = 0.0, 100_000.0  # days; the sum is at least the level at low, and below it at high
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(sums, caps, middle) >= level else (low, middle)
    assert found is not None
    assert found / DAY == pytest.approx(low, rel=1e-6, abs=1e-6)
