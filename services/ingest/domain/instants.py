"""When something happened, from clocks that may be wrong.

The sender's clock says when the event happened and when it was sent; ours says when it was received. The distance
between the first two is right even on a wrong clock:

    occurred_at = received_at − (sentAt − timestamp)

A phone an hour ahead says: happened 13:00:00, sent 13:00:10; received 12:00:10. It happened at 12:00:00.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.domain.rejection import Reason, Refused

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[0-9]{1,15}")


def read_instant(value: Any) -> datetime:
    """Read an ISO 8601 instant; one without a zone is UTC. What was read before stays. Raises Refused."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            instant = datetime.fromisoformat(value.strip())
            if instant.tzinfo is UTC:
                return instant
            return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Refused(Reason.BAD_TIMESTAMP, f"{_shown(value)} is not a time in ISO 8601, such as 2026-03-01T10:00:00.000Z.")


def read_milliseconds(value: Any) -> datetime:
    """Read an instant given in milliseconds since 1970, as a number or a text. Raises Refused."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    if _DIGITS.fullmatch(text):
        try:
            return _EPOCH + timedelta(milliseconds=int(text))
        except OverflowError:
            pass
    raise Refused(Reason.BAD_TIMESTAMP, f"{_shown(value)} is not a time in milliseconds since 1970.")


def occurred_at(
    *, timestamp: Any, original_timestamp: Any, sent_at: Any, received_at: datetime, allowed_skew: timedelta
) -> datetime:
    """Return when the event happened, never later than `received_at` plus the allowed skew. Raises Refused.

    An event with both `timestamp` and `originalTimestamp` was corrected by whoever forwarded it. Without either it
    happened when it was received. A `sentAt` that is no time corrects nothing.
    """
    if timestamp is None and original_timestamp is None:
        return received_at
    instant = read_instant(original_timestamp if timestamp is None else timestamp)
    if sent_at is not None and (timestamp is None or original_timestamp is None):
        instant = _corrected(instant, sent_at=sent_at, received_at=received_at)
    return received_at if instant > received_at + allowed_skew else instant


def _corrected(instant: datetime, *, sent_at: Any, received_at: datetime) -> datetime:
    try:
        return received_at - (read_instant(sent_at) - instant)
    except (Refused, OverflowError):
        return instant


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
