"""When a delivery is tried again: the schedule is data, jitter only adds, and the receiver may ask for more time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.clock import require_aware


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The pauses between attempts; after the last of them a delivery is dead.

    `jitter` is the fraction of a pause that chance may add, so that what failed together does not return together.
    `patience` is the longest pause that a receiver's Retry-After can ask for, `unasked_pause` what a 429 without one
    gets. Being put off costs no attempt until it has gone on for `longest_deferral`.
    """

    pauses: tuple[timedelta, ...]
    jitter: float
    patience: timedelta
    unasked_pause: timedelta = timedelta(seconds=5)
    longest_deferral: timedelta = timedelta(days=3)

    def with_pauses(self, pauses: tuple[timedelta, ...] | None) -> "RetryPolicy":
        """Return the policy of an endpoint that has pauses of its own."""
        return self if pauses is None else replace(self, pauses=pauses)


def next_attempt(policy: RetryPolicy, *, failures: int, chance: float, now: datetime) -> datetime | None:
    """Return when to try after that many failures in a row, or None when the schedule is exhausted.

    `chance` is from 0 to 1. Pauses of 5 s and 5 min with jitter 0.2 give 5 to 6 s, then 5 to 6 min, then None.
    """
    if failures > len(policy.pauses):
        return None
    return now + policy.pauses[failures - 1] * (1 + policy.jitter * chance)


def asked_pause(header: str | None, *, now: datetime, patience: timedelta) -> timedelta:
    """Return how long a Retry-After asks to wait: seconds or an HTTP date; nothing sensible is zero."""
    if not header:
        return timedelta()
    try:
        seconds = float(header)
    except ValueError:
        seconds = _until(header, now)
    if not math.isfinite(seconds) or seconds <= 0:
        return timedelta()
    return timedelta(seconds=min(seconds, patience.total_seconds()))


def _until(header: str, now: datetime) -> float:
    try:
        return (require_aware(parsedate_to_datetime(header)) - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0


def total(pauses: Sequence[timedelta]) -> timedelta:
    """Return the least time between the first attempt and the last."""
    return sum(pauses, timedelta())
