"""Cooling down: when engagement will fall below a level if nothing more happens.

While nothing happens, every group's sum A shrinks to A·x with x = 2^(−Δt/H), and engagement is Σ min(cap, A·x): a sum
of concave pieces, straight between the points x = cap/A where a cap lets go. Walking x down from 1, the first piece
that reaches the level tells x, and x tells the time: Δt = H·log₂(1/x).

One group with A = 80 and cap 40, level 20, H = 30 days: the cap lets go at x = 1/2, 80·x = 20 at x = 1/4: 60 days.
"""

from collections.abc import Sequence
from math import ceil, log2


def falls_below(sums: Sequence[float], caps: Sequence[float], *, level: float, half_life: int) -> int | None:
    """Return in how many microseconds engagement falls below the level: 0 when it is below now, None for never."""
    if sum(map(min, sums, caps)) < level:
        return 0
    if level <= 0:
        return None
    # Groups that their caps hold, the one that lets go first at the end.
    held = sorted(((cap / amount, amount, cap) for amount, cap in zip(sums, caps, strict=True) if amount > cap))
    fixed = sum(cap for _, _, cap in held)
    slope = sum(amount for amount, cap in zip(sums, caps, strict=True) if amount <= cap)
    while True:
        lets_go = held[-1][0] if held else 0.0
        if slope > 0 and (level - fixed) / slope >= lets_go:
            share = min(1.0, (level - fixed) / slope)
            return ceil(half_life * log2(1 / share))
        _, amount, cap = held.pop()
        fixed -= cap
        slope += amount
