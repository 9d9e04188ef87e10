"""How much each source sends: its rate, which this process knows of itself, and its quota, which all share.

The rate is held per process: with three processes behind a balancer a source can send three times its rate.
The quota is held in PostgreSQL. What was accepted here is added to it once in an interval, and what the others have
accepted is learnt then; so all together overrun it by no more than what the others accept within two intervals.
While PostgreSQL is away each process counts on by itself.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta

from services.ingest.domain import quota, rate
from services.ingest.domain.source import Allowance, Source
from shared.clock import Clock
from shared.http.problems import ProblemError

Use = tuple[date, str]  # of a source on a day


class Meter:
    """Counts what sources send, and refuses what is too much."""

    def __init__(self, *, defaults: Allowance, clock: Clock) -> None:
        self._defaults = defaults
        self._clock = clock
        self._buckets: dict[str, rate.Bucket] = {}
        self._stored: dict[Use, int] = {}  # by all processes, as last read
        self._pending: Counter[Use] = Counter()  # accepted here, not yet stored
        self._held: Counter[Use] = Counter()  # on its way to the log

    def allowance(self, source: Source) -> Allowance:
        """Return what the source may send, the settings' where it has none of its own."""
        return source.allowance.over(self._defaults)

    @contextmanager
    def admitted(self, source: Source, events: int) -> Iterator[None]:
        """Hold the block that stores so many events; they count when it succeeds. Raises a 429 problem."""
        allowance = self.allowance(source)
        now = self._clock()
        use = quota.day_of(now), source.name
        if not quota.fits(events, used=self.used(source.name, use[0]), quota=allowance.daily_quota):
            raise _refusal(
                "quota_exceeded",
                f"{source.name} may send {allowance.daily_quota} events a day (UTC).",
                quota.until_next_day(now),
            )
        if allowance.rate is not None:
            burst = allowance.burst or math.ceil(allowance.rate)
            before = self._buckets.get(source.name) or rate.full(burst, now)
            bucket = rate.filled(before, rate=allowance.rate, burst=burst, now=now)
            if wait := rate.wait_for(bucket, events, rate=allowance.rate, burst=burst):
                raise _refusal("rate_limited", f"{source.name} may send {allowance.rate:g} events a second.", wait)
            self._buckets[source.name] = rate.taken(bucket, events)
        self._held[use] += events
        try:
            yield
            self._pending[use] += events
        finally:
            self._held[use] -= events

    def used(self, name: str, day: date) -> int:
        """Return how many events of the source count on the day, as far as this process knows."""
        use = day, name
        return self._stored.get(use, 0) + self._pending[use] + self._held[use]

    def unflushed(self) -> dict[Use, int]:
        """Return what was accepted and is not in PostgreSQL yet."""
        return {use: events for use, events in self._pending.items() if events}

    def flushed(self, added: Mapping[Use, int], totals: Mapping[Use, int]) -> None:
        """Learn that these were added, and what all processes have added together."""
        self._pending.subtract(added)
        self._stored = dict(totals)
        today = quota.day_of(self._clock())
        for counter in (self._pending, self._held):
            for use in [use for use, events in counter.items() if not events and use[0] < today]:
                del counter[use]

    def quota_used(self, sources: Iterable[Source]) -> dict[str, float]:
        """Return what part of its quota each source has used today; those without a quota are left out."""
        today = quota.day_of(self._clock())
        return {
            source.name: self.used(source.name, today) / most
            for source in sources
            if (most := self.allowance(source).daily_quota)
        }


def _refusal(code: str, message: str, wait: timedelta) -> ProblemError:
    seconds = str(max(1, math.ceil(wait.total_seconds())))
    headers = {"Retry-After": seconds, "X-RateLimit-Reset": seconds}
    return ProblemError(429, code, f"{message} Send the events again in {seconds} s.", headers=headers)
