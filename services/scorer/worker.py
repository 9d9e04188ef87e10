"""What the scorer does without being asked: score records, arm what cooled down, apply a new agreement, relay."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic

import structlog

from services.scorer.errors import ScorerError
from services.scorer.handlers import Scorer
from services.scorer.settings import ScorerSettings
from services.scorer.store.agreements import AgreementStore
from shared.events.topics import TopicName
from shared.log.worker import ConsumerWorker
from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.service import Worker
from shared.stopping import wait_for_any

GROUP = "scorer"
TOPICS = (TopicName.TOUCHES, TopicName.FEEDBACK)

SWEEP = 200  # contacts in one transaction
_HUNG_AFTER = timedelta(minutes=3)
_GAUGE_EVERY = timedelta(seconds=1)
_PAUSE = timedelta(seconds=1)


class ScoringWorker:
    """Consumes touches and feedback."""

    def __init__(
        self,
        platform: Platform,
        *,
        scorer: Scorer,
        positions: Positions,
        agreements: AgreementStore,
        settings: ScorerSettings,
    ) -> None:
        self._platform = platform
        self._scorer = scorer
        self._positions = positions
        self._agreements = agreements
        self._settings = settings
        self._consuming: ConsumerWorker | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until told to stop, then leave the group. Raises ScorerError when no work could be done right."""
        await self._read_agreement(stopping)
        if stopping.is_set():
            return
        async with self._platform.log.consume(GROUP, TOPICS, self._positions.claim) as consumer:
            self._consuming = ConsumerWorker(
                GROUP,
                consumer,
                handle=self._scorer.handle,
                set_aside=self._scorer.set_aside,
                metrics=self._platform.metrics,
                max_records=self._settings.score_records,
            )
            try:
                await self._consuming.run(stopping)
            finally:
                self._consuming = None

    @property
    def joined(self) -> bool:
        """Whether records are being consumed."""
        return self._consuming is not None

    def hung(self) -> tuple[str, ...]:
        """Return a line when the loop has not come round for long."""
        if self._consuming is None:
            return ()
        idle = monotonic() - self._consuming.last_progress
        return (f"the worker has not moved for {idle:.0f} s",) if idle > _HUNG_AFTER.total_seconds() else ()

    async def _read_agreement(self, stopping: asyncio.Event) -> None:
        """Find out before the first record whether the active agreement can be read: without it all work is void."""
        while not stopping.is_set():
            try:
                async with self._platform.engine.connect() as connection:
                    await self._agreements.active(connection)
            except ScorerError:
                raise
            except Exception as error:
                if not passes(error):
                    raise
                structlog.get_logger().warning("scorer.waits", reason=str(error))
                await wait_for_any(stopping, timeout=_PAUSE)
            else:
                return


def sweeping(name: str, sweep: Callable[..., Awaitable[int]], *, every: timedelta, wake: asyncio.Event) -> Worker:
    """Return a worker that sweeps until nothing is due, then waits for the interval or to be woken."""

    async def run(stopping: asyncio.Event) -> None:
        logger = structlog.get_logger().bind(worker=name)
        while not stopping.is_set():
            wake.clear()
            swept = 0
            try:
                swept = await sweep(limit=SWEEP)
            except Exception as error:
                if not passes(error):
                    raise
                logger.warning("sweep.waits", reason=str(error))
            if swept:
                logger.info("sweep.done", contacts=swept)
            if swept < SWEEP:
                await wait_for_any(stopping, wake, timeout=every)

    return run


def measuring(platform: Platform, outbox: Outbox) -> Worker:
    """Return a worker that keeps the outbox's gauges true."""

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                waiting, oldest = await outbox.waiting(platform.clock())
            except Exception as error:
                if not passes(error):
                    raise
            else:
                platform.metrics.outbox_waiting.labels(GROUP).set(waiting)
                platform.metrics.outbox_oldest_seconds.labels(GROUP).set(oldest.total_seconds())
            await wait_for_any(stopping, timeout=_GAUGE_EVERY)

    return run
