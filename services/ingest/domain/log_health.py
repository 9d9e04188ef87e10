"""Whether the log takes records, as far as the appends so far can tell.

While it is away one request at a time tries it. The others are refused at once: each would have waited out the timeout
to learn the same.
"""

from collections.abc import Mapping
from enum import StrEnum


class Health(StrEnum):
    """What is known of the log."""

    UP = "up"
    AWAY = "away"  # the last append failed; the next request tries
    TRIED = "tried"  # a request is trying


class Seen(StrEnum):
    """What an append showed."""

    STORED = "stored"
    FAILED = "failed"  # an append that began while the log was up
    TRIAL_BEGUN = "trial_begun"
    TRIAL_FAILED = "trial_failed"


AFTER: Mapping[tuple[Health, Seen], Health] = {
    (Health.UP, Seen.STORED): Health.UP,
    (Health.UP, Seen.FAILED): Health.AWAY,
    (Health.UP, Seen.TRIAL_BEGUN): Health.UP,
    (Health.UP, Seen.TRIAL_FAILED): Health.AWAY,
    (Health.AWAY, Seen.STORED): Health.UP,
    (Health.AWAY, Seen.FAILED): Health.AWAY,
    (Health.AWAY, Seen.TRIAL_BEGUN): Health.TRIED,
    (Health.AWAY, Seen.TRIAL_FAILED): Health.AWAY,
    (Health.TRIED, Seen.STORED): Health.UP,
    (Health.TRIED, Seen.FAILED): Health.TRIED,
    (Health.TRIED, Seen.TRIAL_BEGUN): Health.TRIED,
    (Health.TRIED, Seen.TRIAL_FAILED): Health.AWAY,
}
