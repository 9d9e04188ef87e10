"""A worker that is one member of a consumer group: how every service consumes."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from shared.log.protocol import ClaimPosition, EventLog
from shared.log.worker import ConsumerWorker, Handle, SetAside
from shared.telemetry.metrics import Metrics

HUNG_AFTER = timedelta(minutes=3)  # without a round of the loop; the longest wait in one is that for the database


class GroupWorker:
    """Joins the group when it is run, and leaves it when it is stopped, so that others take over at once."""

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
    ) -> None:
        self._group = group
        self._topics = topics
        self._log = log
        self._claim = claim
        self._handle = handle
        self._set_aside = set_aside
        self._metrics = metrics
        self._max_records = max_records
        self._consuming: ConsumerWorker | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until told to stop. Raises TopicMissing."""
        async with self._log.consume(self._group, self._topics, self._claim) as consumer:
            self._consuming = ConsumerWorker(
                self._group,
                consumer,
                handle=self._handle,
                set_aside=self._set_aside,
                metrics=self._metrics,
                max_records=self._max_records,
            )
            try:
                await self._consuming.run(stopping)
            finally:
                self._consuming = None

    def missing(self) -> tuple[str, ...]:
        """Return a line while the worker is not consuming: for readiness."""
        return () if self._consuming else ("the worker has not joined its group",)

    def hung(self) -> tuple[str, ...]:
        """Return a line when the loop has not come round for long: for liveness."""
        if self._consuming is None:
            return ()
        idle = monotonic() - self._consuming.last_progress
        return (f"the worker has not moved for {idle:.0f} s",) if idle > HUNG_AFTER.total_seconds() else ()
