"""Members of a consumer group: how every service consumes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from shared.log.protocol import ClaimPosition, EventLog
from shared.log.worker import BATCH_BYTES, SET_ASIDE_LIMIT, ConsumerWorker, Handle, SetAside
from shared.telemetry.metrics import Metrics

HUNG_AFTER = timedelta(minutes=3)  # without a round of the loop; the longest wait in one is that for the database


def members_of(given: int | None, *, kafka: str | None) -> int:
    """Return how many members a process is: as given, else what is best on the log."""
    if given is not None:
        return given
    return 2 if kafka else 1


class GroupWorker:
    """Joins the group when it is run, and leaves it when it is stopped, so that others take over at once.

    A process may be several `members`: while one waits for the database, another has the processor. Each has partitions
    of its own, so nothing else changes.
    """

    def __init__(
        self,
        group: str,
        topics: Sequence[str],
        *,
        log: EventLog,
        claim: ClaimPosition,
        handle: Handle,
        set_aside: SetAside,
        metrics: Metrics,
        max_records: int = 5000,
        max_bytes: int = BATCH_BYTES,
        members: int = 1,
        set_aside_limit: int = SET_ASIDE_LIMIT,
        optional: Sequence[str] = (),
    ) -> None:
        self._group = group
        self._topics = topics
        self._optional = optional
        self._log = log
        self._claim = claim
        self._handle = handle
        self._set_aside = set_aside
        self._metrics = metrics
        self._max_records = max_records
        self._max_bytes = max_bytes  # of all members together
        self._members = members
        self._set_aside_limit = set_aside_limit
        self._consuming: dict[int, ConsumerWorker] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until told to stop. Raises TopicMissing."""
        if not self._members:
            await stopping.wait()
        members = [asyncio.create_task(self._run_member(number, stopping)) for number in range(self._members)]
        try:
            await asyncio.gather(*members)  # the first failure ends them all
        finally:
            for member in members:
                member.cancel()
            await asyncio.gather(*members, return_exceptions=True)

    def missing(self) -> tuple[str, ...]:
        """Return a line while a member is not consuming: for readiness."""
        joined = len(self._consuming) == self._members
        return () if joined else (f"the worker has not joined its group {self._group}",)

    def halted(self) -> tuple[str, ...]:
        """Return a line for each member that stands still because everything breaks its handler."""
        return tuple(member.halted for member in self._consuming.values() if member.halted)

    def hung(self) -> tuple[str, ...]:
        """Return a line when a member's loop has not come round for long: for liveness."""
        idle = max((monotonic() - member.last_progress for member in self._consuming.values()), default=0.0)
        return (
            (f"the worker of {self._group} has not moved for {idle:.0f} s",)
            if idle > HUNG_AFTER.total_seconds()
            else ()
        )

    async def _run_member(self, number: int, stopping: asyncio.Event) -> None:
        async with self._log.consume(self._group, self._topics, self._claim, optional=self._optional) as consumer:
            self._consuming[number] = ConsumerWorker(
                f"{self._group}-{number + 1}" if number else self._group,
                consumer,
                handle=self._handle,
                set_aside=self._set_aside,
                metrics=self._metrics,
                max_records=self._max_records,
                max_bytes=self._max_bytes // self._members,
                set_aside_limit=self._set_aside_limit,
            )
            try:
                await self._consuming[number].run(stopping)
            finally:
                del self._consuming[number]
