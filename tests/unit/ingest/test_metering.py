"""Rates and quotas: what a source may send, whatever it tries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain import quota, rate
from services.ingest.domain.source import Allowance, Source
from services.ingest.metering import Meter
from shared.http.problems import ProblemError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


def _meter(clock: Clock, **defaults: float) -> Meter:
    return Meter(defaults=Allowance(**defaults), clock=clock)  # type: ignore[arg-type]  # each test names one it has


def _source(**allowance: float) -> Source:
    return Source(name="website", kind="web", allowance=Allowance(**allowance))  # type: ignore[arg-type]  # likewise


def _send(meter: Meter, source: Source, events: int) -> ProblemError | None:
    try:
        with meter.admitted(source, events):
            return None
    except ProblemError as problem:
        return problem


def test_faster_than_the_rate() -> None:
    """A burst passes, then it is a matter of time, which the answer tells."""
    clock = Clock()
    meter, source = _meter(clock), _source(rate=10, burst=20)

    assert _send(meter, source, 20) is None
    refused = _send(meter, source, 5)
    assert refused is not None
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.headers == {"Retry-After": "1", "X-RateLimit-Reset": "1"}
    clock.now += timedelta(seconds=0.5)
    assert _send(meter, source, 5) is None


def test_a_batch_larger_than_the_burst() -> None:
    """It passes when the bucket is full, and what follows pays for it."""
    clock = Clock()
    meter, source = _meter(clock), _source(rate=10)

    assert _send(meter, source, 100) is None
    refused = _send(meter, source, 1)
    assert refused is not None
    assert refused.headers["Retry-After"] == "10"  # 90 lent, and one more
    clock.now += timedelta(seconds=9.1)
    assert _send(meter, source, 1) is None


@given(
    sent=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 60)), max_size=60),
    events_a_second=st.floats(0.5, 50),
    burst=st.integers(1, 40),
)
def test_any_pattern_of_requests(sent: list[tuple[float, int]], events_a_second: float, burst: int) -> None:
    """What passes is never more than the time's share, one burst, and what the largest batch was lent."""
    clock = Clock()
    meter, source = _meter(clock), _source(rate=events_a_second, burst=burst)
    passed = 0
    for pause, events in sent:
        clock.now += timedelta(seconds=pause)
        if _send(meter, source, events) is None:
            passed += events

        elapsed = (clock.now - NOON).total_seconds()
        assert passed <= elapsed * events_a_second + max(burst, 60) + 1e-6


@given(level=st.floats(-100, 10), events=st.integers(1, 30), events_a_second=st.floats(0.5, 50))
def test_who_waits_as_long_as_told_passes(level: float, events: int, events_a_second: float) -> None:
    """`Retry-After` is never too short."""
    bucket = rate.Bucket(level, NOON)
    wait = rate.wait_for(bucket, events, rate=events_a_second, burst=10) + timedelta(microseconds=1)
    later = rate.filled(bucket, rate=events_a_second, burst=10, now=NOON + wait)

    assert rate.wait_for(later, events, rate=events_a_second, burst=10) <= timedelta(microseconds=1)


def test_a_clock_that_is_set_back() -> None:
    """Nothing is filled, and nothing taken away."""
    bucket = rate.Bucket(3.0, NOON)

    assert rate.filled(bucket, rate=5, burst=10, now=NOON - timedelta(hours=1)) == bucket


def test_the_quota_of_a_day() -> None:
    """It is used up to the last event, refused whole beyond, and begins anew at midnight UTC."""
    clock = Clock()
    meter, source = _meter(clock), _source(daily_quota=100)

    assert _send(meter, source, 90) is None
    refused = _send(meter, source, 11)
    assert refused is not None
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert refused.headers["Retry-After"] == str(12 * 3600)
    assert _send(meter, source, 10) is None
    clock.now += timedelta(hours=12)
    assert _send(meter, source, 100) is None


def test_a_quota_from_the_settings() -> None:
    """It holds for sources without one of their own, the keys file's too; a source's own wins."""
    clock = Clock()
    meter = _meter(clock, daily_quota=10)

    assert _send(meter, _source(), 11) is not None
    assert _send(meter, _source(daily_quota=20), 11) is None


def test_what_could_not_be_stored() -> None:
    """It takes nothing from the quota."""
    meter, source = _meter(Clock()), _source(daily_quota=10)
    with pytest.raises(RuntimeError), meter.admitted(source, 10):
        raise RuntimeError

    assert _send(meter, source, 10) is None


def test_requests_at_the_same_time() -> None:
    """What is on its way to the log counts already."""
    meter, source = _meter(Clock()), _source(daily_quota=10)
    with meter.admitted(source, 6):
        assert _send(meter, source, 6) is not None


@given(steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=60))
def test_several_processes(steps: list[tuple[int, int]]) -> None:
    """The quota is overrun by no more than what a process could not know of the others yet; each event counts once."""
    processes = [_meter(Clock()) for _ in range(3)]
    source = _source(daily_quota=50)
    day = quota.day_of(NOON)
    accepted = [0, 0, 0]
    flushed = [0, 0, 0]
    known = [[0, 0, 0] for _ in processes]  # what each has read of the others
    for number, events in steps:
        process = processes[number]
        if events == 0:  # its turn
            added = process.unflushed()
            flushed[number] += sum(added.values())
            process.flushed(added, {(day, source.name): sum(flushed)})
            known[number] = list(flushed)
        elif _send(process, source, events) is None:
            accepted[number] += events
            unknown = sum(accepted[other] - known[number][other] for other in range(3) if other != number)
            assert sum(accepted) <= 50 + unknown
    assert [sum(process.unflushed().values()) for process in processes] == [
        one - other for one, other in zip(accepted, flushed, strict=True)
    ]
