"""The router's loops: consume handoffs, sweep the queue, look at the gauges. Delivering has a file of its own."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from services.router.assigning import Assigner, Swept
from services.router.domain.handoff import UNANSWERED
from services.router.store.clocks import ClockStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.queue import QueueStore
from shared.clock import Clock
from shared.events.topics import TopicName
from shared.log.group_worker import GroupWorker
from shared.log.worker import Handle, SetAside
from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.repeating import repeat
from shared.stopping import wait_for_any
from shared.telemetry.metrics import Metrics

GROUP = "router"
# Groups of their own, so that no backlog of one holds up the others.
ERASURES_GROUP = "router.erasures"
NURTURE_GROUP = "router.nurture"
MAX_RECORDS = 200  # a handoff is some kilobytes, and its transaction holds the lock of the team
GAUGE_INTERVAL = timedelta(seconds=5)
CLOCKS_PAUSE = 200  # times as long as counting all clocks took they are not counted again

_SHORTEST_PAUSE = timedelta(milliseconds=10)


def group_worker(
    platform: Platform, group: str, topic: TopicName, *, positions: Positions, handle: Handle, set_aside: SetAside
) -> GroupWorker:
    """Return the worker that reads the topic as one of the group."""
    return GroupWorker(
        group,
        [topic],
        log=platform.log,
        claim=positions.claim,
        handle=handle,
        set_aside=set_aside,
        metrics=platform.metrics,
        set_aside_limit=platform.set_aside_limit,
        max_records=MAX_RECORDS,
    )


class Sweeper:
    """Looks at the queue when something changed, and at the instant at which somebody comes on duty or a cap opens.

    Besides, it looks at intervals: whoever changed something may have died before telling.
    """

    def __init__(
        self, assigner: Assigner, *, interval: timedelta, assigned: Callable[[Swept], None], clock: Clock
    ) -> None:
        self._assigner = assigner
        self._interval = interval
        self._assigned = assigned
        self._clock = clock
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep until told to stop."""
        await repeat(self._sweep, stopping, worker="router.queue", retry=self._interval, wake=self._wake)

    async def _sweep(self) -> timedelta:
        swept = await self._assigner.sweep()
        if swept.looked_at:
            self._assigned(swept)
        return timedelta() if swept.more else self._pause(swept.opens_at)

    def _pause(self, opens_at: datetime | None) -> timedelta:
        if opens_at is None:
            return self._interval
        return min(self._interval, max(_SHORTEST_PAUSE, opens_at - self._clock()))


class Gauges:
    """Measures what waits."""

    def __init__(
        self,
        *,
        queue: QueueStore,
        deliveries: DeliveryStore,
        clocks: ClockStore,
        outbox: Outbox,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._clocks = clocks
        self._deliveries = deliveries
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._count_clocks_at = monotonic()

    async def run(self, stopping: asyncio.Event) -> None:
        """Measure until told to stop."""
        while not stopping.is_set():
            try:
                await self.measure()
            except Exception as error:
                if not passes(error):
                    raise
            await wait_for_any(stopping, timeout=GAUGE_INTERVAL)

    async def measure(self) -> None:
        """Measure once."""
        now = self._clock()
        count, since = await self._queue.unowned()
        self._metrics.handoffs_unowned.set(count)
        self._metrics.handoffs_oldest_unowned_seconds.set(max(0.0, (now - since).total_seconds()) if since else 0)
        if monotonic() >= self._count_clocks_at:
            await self._count_clocks()
        self._metrics.deliveries_waiting.set(await self._deliveries.waiting())
        messages, age = await self._outbox.waiting(now)
        self._metrics.outbox_waiting.labels("router").set(messages)
        self._metrics.outbox_oldest_seconds.labels("router").set(age.total_seconds())

    async def _count_clocks(self) -> None:
        started = monotonic()
        running = await self._clocks.running()
        for state in sorted(UNANSWERED):
            self._metrics.clocks_running.labels(state).set(running.get(state, 0))
        # With a hundred thousand of them the count reads all their rows: every few seconds that would be a load.
        self._count_clocks_at = monotonic() + CLOCKS_PAUSE * (monotonic() - started)
