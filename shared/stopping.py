"""Waiting that ends when the process is told to stop."""

import asyncio
from datetime import timedelta


async def wait_for_any(*events: asyncio.Event, timeout: timedelta) -> None:
    """Return when one of the events is set, or after the timeout."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
