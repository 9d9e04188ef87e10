"""Decayed counts: worth half one half-life later, whatever the order."""

import random
from math import exp2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.decay import DecayedCount
from services.scorer.domain.instants import DAY

H = 30 * DAY
T0 = 1_772_366_400_000_000  # 2026-03-01 12:00 UTC

instants = st.integers(T0 - 400 * DAY, T0 + DAY)


def counted(ats: list[int], half_life: int = H) -> DecayedCount:
    """Return a count of these instants."""
    count = DecayedCount()
    for at in ats:
        count.add(at, half_life)
    return count


@pytest.mark.parametrize(
    ("days_ago", "expected"),
    [
        ([0], 1.0),
        ([30], 0.5),
        ([60], 0.25),
        ([0, 30], 1.5),  # 1 + 1/2
        ([0, 30, 60, 60], 2.0),  # 1 + 1/2 + 1/4 + 1/4
        ([-30], 2.0),  # of tomorrow's touch today sees more than one: it decays from its own instant
        ([], 0.0),
    ],
)
def test_a_count(days_ago: list[int], expected: float) -> None:
    """The sum of 2^(-age/half-life)."""
    assert counted([T0 - days * DAY for days in days_ago]).read(T0, H) == pytest.approx(expected, rel=1e-12)


@given(st.lists(instants, min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_any_order(ats: list[int], dice: random.Random) -> None:
    """The same instants in another order make the same count, but for the last bits, under the same landmark."""
    shuffled = ats.copy()
    dice.shuffle(shuffled)

    one, other = counted(ats), counted(shuffled)

    assert one.landmark == other.landmark
    assert one.read(T0, H) == pytest.approx(other.read(T0, H), rel=1e-12)
    assert one.read(T0, H) == pytest.approx(sum(exp2((at - T0) / H) for at in ats), rel=1e-9)


@given(st.lists(instants, min_size=1, max_size=40), st.integers(0, 40))
def test_rebasing_leaves_no_trace(ats: list[int], moved: int) -> None:
    """A sum that was moved to a later landmark on the way is bit for bit the sum that was not."""
    plain = counted(ats)
    rebased = counted(ats)
    rebased.total, rebased.landmark = rebased.total * 2.0**-moved, rebased.landmark + moved

    assert rebased.read(T0, H) == plain.read(T0, H)


def test_extremes() -> None:
    """Neither centuries nor seconds overflow."""
    count = counted([-62_000_000_000_000_000, T0, 250_000_000_000_000_000], half_life=60_000_000)

    assert count.read(250_000_000_000_000_000, 60_000_000) == 1.0
    assert count.read(-62_000_000_000_000_000, 60_000_000) > 1
    assert counted([T0 - 10_000 * DAY], half_life=60_000_000).read(T0, 60_000_000) == 0.0
