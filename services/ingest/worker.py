"""The worker that understands what was accepted."""

import asyncio
from datetime import timedelta
from time import monotonic

from services.ingest.handlers import Understanding
from shared.events.topics import TopicName
from shared.log.protocol import EventLog
from shared.log.worker import ConsumerWorker
from shared.postgres.positions import Positions
from shared.telemetry.metrics import Metrics

GROUP = "ingest"
TOPICS = (TopicName.EVENTS_WEB, TopicName.EVENTS_CAMPAIGN)

HUNG_AFTER = timedelta(minutes=2)


class UnderstandingWorker:
    """Reads `events.*` as one of the group, from when it is run until it is stopped."""

    def __init__(self, *, log: EventLog, understanding: Understanding, positions: Positions, metrics: Metrics) -> None:
        self._log = log
        self._understanding = understanding
        self._positions = positions
        self._metrics = metrics
        self._loop: ConsumerWorker | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until told to stop; leaving the group then lets others take over at once."""
        async with self._log.consume(GROUP, TOPICS, self._positions.claim) as consumer:
            self._loop = ConsumerWorker(
                GROUP,
                consumer,
                handle=self._understanding.handle,
                set_aside=self._understanding.set_aside,
                metrics=self._metrics,
            )
            await self._loop.run(stopping)

    def joined(self) -> bool:
        """Tell whether the worker has ever joined its group."""
        return self._loop is not None

    def hung(self) -> tuple[str, ...]:
        """Return a line when the loop has not come round for long."""
        if self._loop is None:
            return ()
        idle = monotonic() - self._loop.last_progress
        return (f"the worker has not moved for {idle:.0f} s",) if idle > HUNG_AFTER.total_seconds() else ()
