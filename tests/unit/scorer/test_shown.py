"""The digits that people see add up."""

from decimal import Decimal
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.shown import shown, shown_parts
from services.scorer.domain.terms import on_grid


@pytest.mark.parametrize(
    ("values", "level", "expected", "total"),
    [
        ([], None, [], "0.00"),
        ([15.0, 1.5], 50.0, ["15.00", "1.50"], "16.50"),
        ([0.004, 0.004, 0.004], None, ["0.01", "0.00", "0.00"], "0.01"),  # 0.012
        ([0.006], None, ["0.01"], "0.01"),
        ([1 / 3, 1 / 3, 1 / 3], None, ["0.34", "0.33", "0.33"], "1.00"),
        ([10.0, 0.333, 0.333], None, ["10.00", "0.34", "0.33"], "10.67"),  # who is exact, stays
        ([33.3, 33.3, 33.3], None, ["33.30", "33.30", "33.30"], "99.90"),
        ([45.0, -5.0, 1.999], None, ["45.00", "-5.00", "2.00"], "42.00"),
        ([49.999], 50.0, ["49.99"], "49.99"),  # below 50 is not shown as 50
        ([50 - 1e-9], 50.0, ["49.99"], "49.99"),
        ([50.0], 50.0, ["50.00"], "50.00"),
    ],
)
def test_digits(values: list[float], level: float | None, expected: list[str], total: str) -> None:
    """Two of them; what was cut off goes to the parts that lost most."""
    assert shown_parts(values, fsum(values), level=level) == expected
    assert shown(fsum(values), level=level) == total


@given(
    st.lists(st.floats(-20_000, 20_000).map(on_grid), max_size=40),
    st.sampled_from([None, 1.0, 35.0, 50.0, 33.3]),
)
def test_shown_parts_add_up(values: list[float], level: float | None) -> None:
    """To the last digit, whatever they are, and none is off by a hundredth or more from what it is."""
    total = fsum(values)

    parts = shown_parts(values, total, level=level)

    assert sum(map(Decimal, parts)) == Decimal(shown(total, level=level))
    assert all(
        abs(Decimal(part) - Decimal(value)) < Decimal("0.0101") for part, value in zip(parts, values, strict=True)
    )
    if level is not None:
        assert (Decimal(shown(total, level=level)) >= Decimal(str(level))) == (total >= level)
