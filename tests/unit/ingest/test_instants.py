"""When something happened."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.instants import occurred_at, read_instant
from services.ingest.domain.rejection import Reason, Refused

RECEIVED = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)
SKEW = timedelta(minutes=5)


def when(timestamp: Any = None, original: Any = None, sent: Any = None) -> str:
    instant = occurred_at(
        timestamp=timestamp, original_timestamp=original, sent_at=sent, received_at=RECEIVED, allowed_skew=SKEW
    )
    assert instant.tzinfo is UTC
    return instant.isoformat()[:19]


@pytest.mark.parametrize(
    ("timestamp", "original", "sent", "happened"),
    [
        (None, None, None, "2026-03-01T10:00:00"),
        ("2026-03-01T09:00:00Z", None, None, "2026-03-01T09:00:00"),
        ("2026-03-01T13:00:00Z", None, "2026-03-01T13:00:10Z", "2026-03-01T09:59:50"),  # 10:00:00 - 10 s
        (None, "2026-03-01T13:00:00Z", "2026-03-01T13:00:10Z", "2026-03-01T09:59:50"),
        ("2026-03-01T09:00:00Z", "2026-03-01T13:00:00Z", "2026-03-01T13:00:10Z", "2026-03-01T09:00:00"),  # forwarded
        ("2026-03-01T09:00:00Z", None, "soon", "2026-03-01T09:00:00"),
        ("2026-03-01T10:04:59Z", None, None, "2026-03-01T10:04:59"),
        ("2026-03-01T10:05:01Z", None, None, "2026-03-01T10:00:00"),  # further ahead than clocks are off
        ("9999-12-31T23:59:59Z", None, None, "2026-03-01T10:00:00"),
        ("9999-12-31T23:59:59Z", None, "0001-01-01T00:00:00Z", "2026-03-01T10:00:00"),
        ("0001-01-01T00:00:00Z", None, None, "0001-01-01T00:00:00"),
        ("0001-01-01T00:00:00Z", None, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00"),
        ("2026-03-01T11:00:00+02:00", None, None, "2026-03-01T09:00:00"),
        ("2026-03-01T09:00:00", None, None, "2026-03-01T09:00:00"),
        ("2026-03-01", None, None, "2026-03-01T00:00:00"),
        (" 2026-03-01T09:00:00.123456789Z ", None, None, "2026-03-01T09:00:00"),
    ],
)
def test_clocks(timestamp: Any, original: Any, sent: Any, happened: str) -> None:
    """The sender's clock is corrected, a time ahead of its receipt is not believed, the past is."""
    assert when(timestamp, original, sent) == happened


@pytest.mark.parametrize(
    "value", ["", "yesterday", "2026-13-01", "1772359200", 1772359200, {}, True, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time(value: Any) -> None:
    """It is refused, and the message shows it."""
    with pytest.raises(Refused, match="ISO 8601") as caught:
        read_instant(value)

    assert caught.value.reason is Reason.BAD_TIMESTAMP


@given(
    timestamp=st.none() | st.text() | st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    sent=st.none() | st.text() | st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
)
def test_any_times(timestamp: str | None, sent: str | None) -> None:
    """An event never happened later than its receipt and the skew allowed, or it is refused."""
    try:
        happened = occurred_at(
            timestamp=timestamp, original_timestamp=None, sent_at=sent, received_at=RECEIVED, allowed_skew=SKEW
        )
    except Refused:
        return
    assert happened <= RECEIVED + SKEW
