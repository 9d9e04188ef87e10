"""A service as the runtime sees it: routes to serve, workers to run, and whether it is ready."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

# Runs until the event is set, finishes what is in hand, returns. An exception ends the process.
Worker = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

# Returns what is missing before traffic makes sense, one line each; () when ready.
Readiness = Callable[[], Awaitable[tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Service:
    """One of ingest, scorer, router: opened, but not yet running."""

    name: str
    router: APIRouter
    workers: Mapping[str, Worker]
    readiness: Readiness
    # Returns what has hung, one line each; a process with any is restarted. Never about servers that are away.
    liveness: Callable[[], tuple[str, ...]] = field(default=tuple)
    # What OpenAPI says of routes that FastAPI does not know, and schemas of messages that only this service sends.
    paths: Mapping[str, Any] = field(default_factory=dict)
    schemas: Mapping[str, dict[str, Any]] = field(default_factory=dict)
