"""What one attempt came to, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.router.domain.breaker import Sign
from services.router.domain.retry import RetryPolicy, asked_pause, next_attempt


class Outcome(StrEnum):
    """What an attempt came to; all but `delivered` are failures."""

    DELIVERED = "delivered"  # 2xx
    REDIRECTED = "redirected"  # 3xx: never followed
    REFUSED = "refused"  # other 4xx
    GONE = "gone"  # 410: the receiver wants nothing more at this URL
    THROTTLED = "throttled"  # 429, or another with Retry-After: the receiver asks for time
    SERVER_ERROR = "server_error"  # 5xx
    TIMED_OUT = "timed_out"  # the deadline passed before the answer was complete
    UNREACHABLE = "unreachable"  # no connection
    BROKEN = "broken"  # the connection ended, or what came was not HTTP
    TLS_FAILED = "tls_failed"
    NAME_UNRESOLVED = "name_unresolved"
    ADDRESS_REFUSED = "address_refused"  # the address is not one that anybody may be made to call
    NOT_AUTHORISED = "not_authorised"  # no token was to be had
    MISCONFIGURED = "misconfigured"  # the attempt could not be built; the reason says what to mend
    UNSETTLED = "unsettled"  # another attempt may have made the record, which the search does not know: none is made


# Nothing was sent: no connection came about. After any other outcome the receiver may have the message.
NEVER_ARRIVED = frozenset(
    {
        Outcome.UNREACHABLE,
        Outcome.TLS_FAILED,
        Outcome.NAME_UNRESOLVED,
        Outcome.ADDRESS_REFUSED,
        Outcome.NOT_AUTHORISED,
        Outcome.MISCONFIGURED,
    }
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status, or None and what went wrong."""

    status: int | None
    outcome: Outcome
    error: str = ""
    excerpt: bytes = b""  # of the body
    retry_after: str | None = None
    peer: str = ""  # address that answered
    phases: Mapping[str, float] = field(default_factory=dict)  # milliseconds
    settled_at: datetime | None = None  # of what is unsettled: from then on the record may be made


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an attempt.

    `failures` are those in a row, as far as they count. `next_attempt` is None when there is no other.
    `pause_endpoint` holds back everything for the endpoint until then.
    """

    delivered: bool
    failures: int
    next_attempt: datetime | None
    pause_endpoint: datetime | None = None
    disable_endpoint: bool = False


def outcome_of(status: int, *, asks_for_time: bool = False) -> Outcome:
    """Classify an HTTP status, and whether a Retry-After came with it."""
    match status:
        case _ if 200 <= status < 300:
            return Outcome.DELIVERED
        case _ if 300 <= status < 400:
            return Outcome.REDIRECTED
        case 410:
            return Outcome.GONE
        case 429:
            return Outcome.THROTTLED
        case _ if 400 <= status < 500:
            return Outcome.REFUSED
        case _ if 500 <= status < 600:
            return Outcome.THROTTLED if asks_for_time else Outcome.SERVER_ERROR
        case _:
            return Outcome.BROKEN


def sign_of(outcome: Outcome) -> Sign:
    """Return what the outcome says about the endpoint."""
    match outcome:
        case Outcome.DELIVERED:
            return Sign.WELL
        case Outcome.THROTTLED | Outcome.GONE | Outcome.UNSETTLED:
            return Sign.NEITHER
        case _:
            return Sign.FAILED


def judge(
    reply: Reply, policy: RetryPolicy, *, failures: int, chance: float, now: datetime, since: datetime
) -> Verdict:
    """Decide what follows. `failures` are those in a row before this attempt; the delivery waits `since` then.

    A receiver that asks for time gets it, for everything, and it costs no attempt; unless it has put the delivery off
    for longer than the policy suffers. To look again for a record that may have been made costs none either.
    """
    if reply.outcome is Outcome.DELIVERED:
        return Verdict(delivered=True, failures=0, next_attempt=None)
    if reply.outcome is Outcome.GONE:
        # The delivery waits with the disabled endpoint and goes out when somebody enables it again.
        return Verdict(delivered=False, failures=failures, next_attempt=now, disable_endpoint=True)
    if reply.outcome is Outcome.UNSETTLED:
        settled = reply.settled_at or now
        soon = next_attempt(policy, failures=1, chance=chance, now=now)
        return Verdict(delivered=False, failures=failures, next_attempt=min(settled, soon or settled))
    if reply.outcome is not Outcome.THROTTLED:
        scheduled = next_attempt(policy, failures=failures + 1, chance=chance, now=now)
        return Verdict(delivered=False, failures=failures + 1, next_attempt=scheduled)
    asked = asked_pause(reply.retry_after, now=now, patience=policy.patience)
    pause = now + (asked or min(policy.unasked_pause * (1 + policy.jitter * chance), policy.patience))
    if pause - since <= policy.longest_deferral:
        return Verdict(delivered=False, failures=failures, next_attempt=pause, pause_endpoint=pause)
    scheduled = next_attempt(policy, failures=failures + 1, chance=chance, now=now)
    return Verdict(
        delivered=False,
        failures=failures + 1,
        next_attempt=scheduled and max(scheduled, pause),
        pause_endpoint=pause,
    )
