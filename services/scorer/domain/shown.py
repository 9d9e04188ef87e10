"""Shown digits: parts and their sum with two digits, so that what is shown adds up, too.

Values add up in every bit, which is not what a person can check. The sum is rounded, but never up to a level that it is
below; each part is rounded down, and those that lost most get a hundredth back until the parts add up to the sum.

Three parts of 0.004 are 0.012: shown as 0.01, 0.00 and 0.00, and together 0.01.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import floor

DIGITS = 2
_UNITS = 100  # of the last digit, in one
_NEARLY = 1e-7  # hundredths: what is this close below a whole one is that one, written with bits


def shown(value: float, *, level: float | None = None) -> str:
    """Return the value as it is shown. A value below the level is shown below it."""
    return _written(_rounded(value, level))


def shown_parts(values: Sequence[float], total: float, *, level: float | None = None) -> list[str]:
    """Return the parts as they are shown: they add up to `shown` of the total, each off by less than a hundredth."""
    units = [floor(value * _UNITS + _NEARLY) for value in values]
    left = _rounded(total, level) - sum(units)
    by_loss = sorted(range(len(units)), key=lambda index: units[index] - values[index] * _UNITS)
    for index in by_loss[: max(left, 0)]:
        units[index] += 1
    for index in by_loss[len(by_loss) + min(left, 0) :]:
        units[index] -= 1
    return [_written(unit) for unit in units]


def _rounded(value: float, level: float | None) -> int:
    units = round(value * _UNITS)
    if level is not None and value < level and units >= level * _UNITS:
        return units - 1
    return units


def _written(units: int) -> str:
    return str(Decimal(units).scaleb(-DIGITS))
