"""Waiting for a condition instead of for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import monotonic


async def until(
    condition: Callable[[], Awaitable[bool]],
    *,
    seconds: float = 20,
    what: Callable[[], str] | str = "the condition",
    poll: timedelta = timedelta(milliseconds=20),
) -> None:
    """Return as soon as the condition holds; raise AssertionError with `what` when it does not within the time."""
    deadline = monotonic() + seconds
    while not await condition():
        if monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        await asyncio.sleep(poll.total_seconds())
