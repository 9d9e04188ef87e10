"""The schedule of retries, and what a receiver may ask for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.router.domain.breaker import Sign
from services.router.domain.outcome import Outcome, Reply, Verdict, judge, outcome_of, sign_of
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
        (503, Outcome.SERVER_ERROR),
        (599, Outcome.SERVER_ERROR),
        (999, Outcome.BROKEN),
    ],
)
def test_a_status(status: int, outcome: Outcome) -> None:
    """Only 2xx is success."""
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(("status", "outcome"), [(503, Outcome.THROTTLED), (500, Outcome.THROTTLED)])
def test_a_failure_that_asks_for_time(status: int, outcome: Outcome) -> None:
    """A Retry-After with a 5xx says when to come back; with a 4xx there is nothing to come back for."""
    assert outcome_of(status, asks_for_time=True) is outcome
    assert outcome_of(404, asks_for_time=True) is Outcome.REFUSED
    assert outcome_of(200, asks_for_time=True) is Outcome.DELIVERED


_UNCOUNTED = {Outcome.DELIVERED, Outcome.GONE, Outcome.THROTTLED, Outcome.UNSETTLED}
_COUNTED = [item for item in Outcome if item not in _UNCOUNTED]


@pytest.mark.parametrize("outcome", _COUNTED)
def test_every_failure_is_tried_again(outcome: Outcome) -> None:
    """No failure is the last word but an exhausted schedule."""
    reply = Reply(status=None, outcome=outcome)
    first = judge(reply, POLICY, failures=0, chance=0, now=NOW, since=NOW)
    last = judge(reply, POLICY, failures=2, chance=0, now=NOW, since=NOW)

    assert first == Verdict(delivered=False, failures=1, next_attempt=NOW + timedelta(seconds=5))
    assert last == Verdict(delivered=False, failures=3, next_attempt=None)


def test_a_receiver_that_is_gone() -> None:
    """A 410 disables the endpoint, and the delivery waits with it; it cost no attempt."""
    verdict = judge(Reply(status=410, outcome=Outcome.GONE), POLICY, failures=2, chance=0, now=NOW, since=NOW)

    assert verdict == Verdict(delivered=False, failures=2, next_attempt=NOW, disable_endpoint=True)


@pytest.mark.parametrize(("header", "seconds"), [("60", 60), (None, 5), ("soon", 5), ("99999", 3600)])
def test_a_receiver_that_asks_for_time(header: str | None, seconds: int) -> None:
    """A 429 holds back the whole endpoint, for as long as it asks or a moment, and costs no attempt."""
    reply = Reply(status=429, outcome=Outcome.THROTTLED, retry_after=header)
    verdict = judge(reply, POLICY, failures=2, chance=0, now=NOW, since=NOW)

    until = NOW + timedelta(seconds=seconds)
    assert verdict == Verdict(delivered=False, failures=2, next_attempt=until, pause_endpoint=until)


@pytest.mark.parametrize(("settled", "seconds"), [(120, 5), (3, 3)])
def test_what_may_have_been_made_already(settled: int, seconds: int) -> None:
    """It is looked for soon, at the latest when it may be made; that costs no attempt and says nothing of others."""
    reply = Reply(status=None, outcome=Outcome.UNSETTLED, settled_at=NOW + timedelta(seconds=settled))
    verdict = judge(reply, POLICY, failures=2, chance=0, now=NOW, since=NOW)

    assert verdict == Verdict(delivered=False, failures=2, next_attempt=NOW + timedelta(seconds=seconds))
    assert sign_of(Outcome.UNSETTLED) is Sign.NEITHER


def test_a_receiver_that_asks_for_time_for_days() -> None:
    """Being put off for longer than the policy suffers counts as failing, so that no delivery waits for ever."""
    asked = Reply(status=429, outcome=Outcome.THROTTLED, retry_after="60")
    since = NOW - POLICY.longest_deferral

    counted = judge(asked, POLICY, failures=1, chance=0, now=NOW, since=since)
    last = judge(asked, POLICY, failures=2, chance=0, now=NOW, since=since)

    assert (counted.failures, counted.next_attempt) == (2, NOW + timedelta(minutes=5))
    assert counted.pause_endpoint == NOW + timedelta(seconds=60)
    assert (last.failures, last.next_attempt) == (3, None)
