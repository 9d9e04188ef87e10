"""How fast a source may send: a bucket that holds `burst` events and fills with `rate` events a second.

A request of more events than the bucket can hold takes the full bucket and leaves it in debt. Otherwise an SDK whose
batches are larger than the burst could never send anything, however slowly it sends.
"""

from datetime import datetime, timedelta

import msgspec


class Bucket(msgspec.Struct, frozen=True):
    """How many events there is room for at a time; below zero, what was lent."""

    level: float
    at: datetime


def full(burst: int, now: datetime) -> Bucket:
    """Return the bucket of a source that has not sent for long."""
    return Bucket(float(burst), now)


def filled(bucket: Bucket, *, rate: float, burst: int, now: datetime) -> Bucket:
    """Return the bucket as it is now. A clock that was set back fills nothing."""
    elapsed = max(0.0, (now - bucket.at).total_seconds())
    return Bucket(min(float(burst), bucket.level + elapsed * rate), max(now, bucket.at))


def wait_for(bucket: Bucket, events: int, *, rate: float, burst: int) -> timedelta:
    """Return how long to wait until so many events may pass; nothing when they may pass now."""
    lacking = min(events, burst) - bucket.level
    return timedelta(seconds=lacking / rate) if lacking > 0 else timedelta()


def taken(bucket: Bucket, events: int) -> Bucket:
    """Return the bucket after these events have passed."""
    return Bucket(bucket.level - events, bucket.at)
