"""How much a source may send on one UTC day."""

from datetime import UTC, date, datetime, time, timedelta


def fits(events: int, *, used: int, quota: int | None) -> bool:
    """Tell whether a request fits into what is left of the day; it is taken whole or not at all."""
    return quota is None or used + events <= quota


def until_next_day(now: datetime) -> timedelta:
    """Return how long it is until the quota begins anew."""
    return datetime.combine(day_of(now) + timedelta(days=1), time(), tzinfo=UTC) - now


def day_of(now: datetime) -> date:
    """Return the day that an event accepted now counts on."""
    return now.astimezone(UTC).date()
