"""What one attempt came to, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.router.domain.retry import RetryPolicy, asked_pause, next_attempt


class Outcome(StrEnum):
    """What an attempt came to; all but `delivered` are failures."""

    DELIVERED = "delivered"  # 2xx
    REDIRECTED = "redirected"  # 3xx: never followed
    REFUSED = "refused"  # other 4xx
    GONE = "gone"  # 410: the receiver wants nothing more at this URL
    THROTTLED = "throttled"  # 429, 503: the receiver asks for time
    SERVER_ERROR = "server_error"  # 5xx
    TIMED_OUT = "timed_out"  # the deadline passed before the answer was complete
    UNREACHABLE = "unreachable"  # no connection
    BROKEN = "broken"  # the connection ended, or what came was not HTTP
    TLS_FAILED = "tls_failed"
    NAME_UNRESOLVED = "name_unresolved"
    ADDRESS_REFUSED = "address_refused"  # the address is not one that anybody may be made to call


# Nothing was sent: no connection came about. After any other outcome the receiver may have the message.
NEVER_ARRIVED = frozenset({Outcome.UNREACHABLE, Outcome.TLS_FAILED, Outcome.NAME_UNRESOLVED, Outcome.ADDRESS_REFUSED})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, or None and what went wrong."""

    status: int | None
    outcome: Outcome
    error: str = ""
    excerpt: bytes = b""  # of the body
    retry_after: str | None = None
    peer: str = ""  # address that answered


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an attempt.

    `next_attempt` is None when there is no other. `pause_endpoint` holds back everything for the endpoint until then.
    """

    delivered: bool
    next_attempt: datetime | None
    pause_endpoint: datetime | None = None
    disable_endpoint: bool = False


def outcome_of(status: int) -> Outcome:
    """Classify an HTTP status."""
    match status:
        case _ if 200 <= status < 300:
            return Outcome.DELIVERED
        case _ if 300 <= status < 400:
            return Outcome.REDIRECTED
        case 410:
            return Outcome.GONE
        case 429 | 503:
            return Outcome.THROTTLED
        case _ if 400 <= status < 500:
            return Outcome.REFUSED
        case _ if 500 <= status < 600:
            return Outcome.SERVER_ERROR
        case _:
            return Outcome.BROKEN


def judge(reply: Reply, policy: RetryPolicy, *, failures: int, chance: float, now: datetime) -> Verdict:
    """Decide what follows. `failures` counts this attempt, if it failed, and those before it in a row."""
    if reply.outcome is Outcome.DELIVERED:
        return Verdict(delivered=True, next_attempt=None)
    if reply.outcome is Outcome.GONE:
        # The delivery waits with the disabled endpoint and goes out when somebody enables it again.
        return Verdict(delivered=False, next_attempt=now, disable_endpoint=True)
    scheduled = next_attempt(policy, failures=failures, chance=chance, now=now)
    if reply.outcome is not Outcome.THROTTLED:
        return Verdict(delivered=False, next_attempt=scheduled)
    asked = asked_pause(reply.retry_after, now=now, patience=policy.patience)
    pause = now + asked if asked > timedelta() else None
    if scheduled is not None and pause is not None:
        scheduled = max(scheduled, pause)
    return Verdict(delivered=False, next_attempt=scheduled, pause_endpoint=pause)
