"""Work that a process does over and over."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from shared.postgres.engine import passes
from shared.stopping import wait_for_any


async def repeat(
    work: Callable[[], Awaitable[timedelta]],
    stopping: asyncio.Event,
    *,
    worker: str,
    retry: timedelta,
    wake: asyncio.Event | None = None,
) -> None:
    """Do the work until told to stop: again after as long as it returns, or when woken; zero is at once.

    While the database is away it is tried again after `retry`. Any other error ends it.
    """
    logger = structlog.get_logger().bind(worker=worker)
    events = (stopping, wake) if wake else (stopping,)
    while not stopping.is_set():
        if wake:
            wake.clear()
        try:
            pause = await work()
        except Exception as error:
            if not passes(error):
                raise
            logger.warning("worker.waits", reason=str(error))
            pause = retry
        if pause > timedelta():
            await wait_for_any(*events, timeout=pause)
