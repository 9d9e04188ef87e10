"""The schedule of retries, and what a receiver may ask for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.outcome import Outcome, Reply, judge, outcome_of
from services.router.domain.retry import RetryPolicy, asked_pause, next_attempt

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = RetryPolicy(pauses=(timedelta(seconds=5), timedelta(minutes=5)), jitter=0.2, patience=HOUR)


@given(
    st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=2)), max_size=10),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 12),
)
def test_any_schedule(pauses: list[timedelta], jitter: float, chance: float, failures: int) -> None:
    """Jitter only ever adds, and at most its fraction; after the last pause there is no attempt."""
    policy = RetryPolicy(pauses=tuple(pauses), jitter=jitter, patience=HOUR)
    due = next_attempt(policy, failures=failures, chance=chance, now=NOW)

    if failures > len(pauses):
        assert due is None
    else:
        pause = pauses[failures - 1]
        assert due is not None
        assert NOW + pause <= due <= NOW + pause * (1 + jitter) + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("120", 120),
        ("1.5", 1.5),
        ("Mon, 02 Mar 2026 10:02:00 GMT", 120),
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0),  # past
        ("-5", 0),
        ("nan", 0),
        ("inf", 0),
        ("1e300", 3600),  # capped
        ("99999999", 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Mon, 02 Mar 2026 10:02:00", 0),  # not an HTTP date
        ("soon", 0),
        ("99 Foo 99999 1:2:3", 0),
    ],
)
def test_retry_after(header: str | None, seconds: float) -> None:
    """Seconds and dates are honoured up to our patience; nonsense is nothing."""
    assert asked_pause(header, now=NOW, patience=HOUR) == timedelta(seconds=seconds)


@given(st.text(max_size=40))
def test_any_retry_after(header: str) -> None:
    """No header breaks us or makes us wait longer than our patience."""
    assert timedelta() <= asked_pause(header, now=NOW, patience=HOUR) <= HOUR


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (100, Outcome.BROKEN),
        (301, Outcome.REDIRECTED),
        (304, Outcome.REDIRECTED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.THROTTLED),
        (500, Outcome.SERVER_ERROR),
        (503, Outcome.THROTTLED),
        (599, Outcome.SERVER_ERROR),
        (999, Outcome.BROKEN),
    ],
)
def test_a_status(status: int, outcome: Outcome) -> None:
    """Only 2xx is success."""
    assert outcome_of(status) is outcome


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.DELIVERED])
def test_every_failure_is_tried_again(outcome: Outcome) -> None:
    """No failure is the last word but an exhausted schedule; a 410 waits with its endpoint."""
    reply = Reply(status=None, outcome=outcome)
    first = judge(reply, POLICY, failures=1, chance=0, now=NOW)
    last = judge(reply, POLICY, failures=3, chance=0, now=NOW)

    assert not first.delivered
    assert first.next_attempt == (NOW if outcome is Outcome.GONE else NOW + timedelta(seconds=5))
    assert (last.next_attempt is None) == (outcome is not Outcome.GONE)
    assert first.disable_endpoint == (outcome is Outcome.GONE)


def test_a_receiver_that_asks_for_time() -> None:
    """Retry-After holds back the whole endpoint, and never shortens a pause."""
    asked = Reply(status=429, outcome=Outcome.THROTTLED, retry_after="60")

    short = judge(asked, POLICY, failures=1, chance=0, now=NOW)
    long = judge(asked, POLICY, failures=2, chance=0, now=NOW)

    assert short.next_attempt == short.pause_endpoint == NOW + timedelta(seconds=60)
    assert long.next_attempt == NOW + timedelta(minutes=5)
    assert long.pause_endpoint == NOW + timedelta(seconds=60)
