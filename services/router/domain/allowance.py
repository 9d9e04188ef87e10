"""How many attempts an endpoint may be given now, all processes together.

A rate is a bucket in debt: `rate_at` is when everything given so far is paid for. It holds a second's worth, so that
between two looks nothing is lost.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

UNLIMITED = 1_000_000

_DEPTH = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an endpoint, and where it stands."""

    rate: float | None
    rate_at: datetime | None
    concurrency: int | None
    sending: int  # attempts under way, of all processes
    probing: bool  # the breaker was open until now: one attempt looks


def allowance(limits: Limits, *, now: datetime) -> int:
    """Return how many attempts may begin."""
    allowed = UNLIMITED
    if limits.probing:
        allowed = 1
    if limits.concurrency is not None:
        allowed = min(allowed, max(0, limits.concurrency - limits.sending))
    if limits.rate is not None:
        owed = _from(limits.rate, limits.rate_at, now)
        allowed = min(allowed, math.floor((now - owed).total_seconds() * limits.rate + 1e-6) if owed <= now else 0)
    return allowed


def paid_at(limits: Limits, *, given: int, now: datetime) -> datetime | None:
    """Return `rate_at` after so many attempts were given."""
    if limits.rate is None:
        return None
    return _from(limits.rate, limits.rate_at, now) + timedelta(seconds=given / limits.rate)


def _from(rate: float, rate_at: datetime | None, now: datetime) -> datetime:
    """Return since when the bucket fills; a rate below one a second needs a deeper one to ever hold one."""
    full = now - max(_DEPTH, timedelta(seconds=1 / rate))
    return full if rate_at is None else max(rate_at, full)
