"""The gauges of a service's outbox."""

import asyncio
from datetime import timedelta

from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.outbox import Outbox
from shared.service import Worker
from shared.stopping import wait_for_any

GAUGE_EVERY = timedelta(seconds=1)


def measuring(platform: Platform, outbox: Outbox, *, service: str) -> Worker:
    """Return a worker that keeps the outbox's gauges true."""

    async def run(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                waiting, oldest = await outbox.waiting(platform.clock())
            except Exception as error:
                if not passes(error):
                    raise
            else:
                platform.metrics.outbox_waiting.labels(service).set(waiting)
                platform.metrics.outbox_oldest_seconds.labels(service).set(oldest.total_seconds())
            await wait_for_any(stopping, timeout=GAUGE_EVERY)

    return run
