"""Instants as whole microseconds since 1970, so that arithmetic on them is exact."""

from datetime import UTC, datetime, timedelta
from typing import NewType

Micros = NewType("Micros", int)

DAY = 86_400_000_000  # microseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(instant: datetime) -> Micros:
    """Return an aware instant as microseconds."""
    since = instant - _EPOCH
    return Micros((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)


def from_micros(instant: int) -> datetime:
    """Return the instant in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def micros_of(duration: timedelta) -> int:
    """Return a duration in microseconds."""
    return duration // timedelta(microseconds=1)
