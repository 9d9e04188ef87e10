"""The breaker of an endpoint: nothing is sent to what only fails, except one attempt now and then that looks.

Closed until so many failures in a row, or so large a share of a minute's attempts. Open for a while; then one attempt
goes out, and all processes together make only that one. It closes the breaker, or opens it for twice as long.
What has failed for days is given up: the endpoint is disabled, and what waits for it is parked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Sign(StrEnum):
    """What an attempt says about its endpoint."""

    WELL = "well"
    FAILED = "failed"
    NEITHER = "neither"  # it answers, and asks for time


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When it opens, for how long, and when an endpoint is given up."""

    failures: int  # in a row
    pause: timedelta  # of the first opening; each other is twice as long
    longest_pause: timedelta
    disable_after: timedelta  # of nothing but failures
    jitter: float = 0.2  # fraction of a pause that chance adds


@dataclass(frozen=True, slots=True)
class Breaker:
    """How an endpoint has done since its last success."""

    failures: int = 0
    failing_since: datetime | None = None
    opens: int = 0
    open_until: datetime | None = None  # None: closed


def after_attempts(
    breaker: Breaker,
    signs: Sequence[tuple[Sign, bool]],
    policy: BreakerPolicy,
    *,
    mostly_failing: bool,
    chance: float,
    now: datetime,
) -> Breaker:
    """Return the breaker after these attempts, each with whether it was the one that looks."""
    for sign, probe in signs:
        match sign:
            case Sign.WELL:
                breaker = Breaker()
            case Sign.NEITHER:
                # Somebody answered. How long to wait is said elsewhere, in the receiver's own words.
                breaker = Breaker(failures=breaker.failures, failing_since=breaker.failing_since) if probe else breaker
            case Sign.FAILED:
                breaker = _failed(breaker, policy, probe=probe, storm=mostly_failing, chance=chance, now=now)
    return breaker


def given_up(breaker: Breaker, policy: BreakerPolicy, *, now: datetime) -> bool:
    """Tell whether the endpoint has done nothing but fail for so long that it is to be disabled."""
    return (
        breaker.open_until is not None
        and breaker.failing_since is not None
        and now - breaker.failing_since >= policy.disable_after
    )


def _failed(
    breaker: Breaker, policy: BreakerPolicy, *, probe: bool, storm: bool, chance: float, now: datetime
) -> Breaker:
    failures = breaker.failures + 1
    since = breaker.failing_since or now
    closed = breaker.open_until is None
    if not probe and (not closed or (failures < policy.failures and not storm)):
        # Closed still; or open already, and this one was under way before.
        return Breaker(failures=failures, failing_since=since, opens=breaker.opens, open_until=breaker.open_until)
    pause = min(policy.pause * 2 ** min(breaker.opens, 20), policy.longest_pause) * (1 + policy.jitter * chance)
    return Breaker(failures=failures, failing_since=since, opens=breaker.opens + 1, open_until=now + pause)
