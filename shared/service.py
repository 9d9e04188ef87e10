"""A service as the runtime sees it: routes to serve, workers to run, and whether it is ready."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]

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
    # Paths of the router that take so many POSTs that finding the route would be felt: their handlers by exact path.
    posts: Mapping[str, Handler] = field(default_factory=dict)
    # What OpenAPI says of routes that FastAPI does not know, and schemas of messages that only this service sends.
    paths: Mapping[str, Any] = field(default_factory=dict)
    schemas: Mapping[str, dict[str, Any]] = field(default_factory=dict)
