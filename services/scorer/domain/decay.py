"""Decayed counts: how many times something happened, each time worth half of itself one half-life later.

    D(t) = Σ 2^(−(t − tᵢ)/H)

Forward decay: a sum keeps Σ 2^(tᵢ/H − L), which does not depend on "now", so late and repeated-order additions are
plain additions, and only reading divides. L, the landmark, counts whole half-lives since 1970 and follows the newest
addition, which keeps the sum between 1 and the number of additions. Moving it is a multiplication by a power of two,
which doubles do exactly, so when it moves leaves no trace: the sum depends on what was added, and on the order of
additions only in its last bits.

With H = 10 days, one at day 0 and one at day 10 make 1.5 at day 10, and 0.75 at day 20.
"""

from math import exp2, ldexp

import msgspec

# A sum read before its additions happened grows; by no more than this many doublings, so that nothing overflows.
MOST_DOUBLINGS = 64


class DecayedCount(msgspec.Struct, array_like=True, gc=False):
    """A sum of decaying ones."""

    total: float = 0.0
    landmark: int = 0  # half-lives

    def add(self, at: int, half_life: int) -> None:
        """Add a one at the instant; both in microseconds."""
        landmark, rest = divmod(at, half_life)
        weight = exp2(rest / half_life)
        if self.total == 0.0:
            self.landmark = landmark
        if landmark > self.landmark:
            self.total = ldexp(self.total, self.landmark - landmark) + weight
            self.landmark = landmark
        else:
            self.total += ldexp(weight, landmark - self.landmark)

    def read(self, at: int, half_life: int) -> float:
        """Return D at the instant."""
        landmark, rest = divmod(at, half_life)
        return ldexp(self.total, min(self.landmark - landmark, MOST_DOUBLINGS)) * exp2(-rest / half_life)
