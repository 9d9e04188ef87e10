"""Time: always aware, always UTC, always a parameter of a decision."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Read the system clock."""
    return datetime.now(UTC)


def require_aware(instant: datetime) -> datetime:
    """Return the instant in UTC; raise ValueError when it has no time zone."""
    if instant.tzinfo is None:
        raise ValueError("An instant needs a time zone: append Z or an offset.")
    return instant.astimezone(UTC)
