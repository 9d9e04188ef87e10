"""The HTTP application around one or several services: their routes, probes, metrics, errors."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.metadata import version

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.documents import DISTRIBUTION, document_routes, install_openapi
from shared.http.problems import install_problems
from shared.service import Handler, Service
from shared.telemetry.metrics import Metrics

Draining = Callable[[], bool]
Check = Callable[[], Awaitable[tuple[str, ...]]]


def create_app(services: Sequence[Service], *, metrics: Metrics, draining: Draining) -> FastAPI:
    """Build the application. `/readyz` answers 503 while draining or while a service lacks something."""
    app = FastAPI(
        title="Tandem",
        version=version(DISTRIBUTION),
        description="The real-time handoff from marketing to sales.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect turns an SDK's POST into an empty GET that succeeds
    )
    install_problems(app)
    # The first that matches is taken, and the router's `/v1/hooks/crm/…` looks like a provider's path of ingest.
    for service in reversed(services):
        app.include_router(service.router)
    app.include_router(document_routes(services))
    install_openapi(app, services)

    @app.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        hung = [line for service in services for line in service.liveness()]
        return JSONResponse({"status": "hung" if hung else "ok", "hung": hung}, 503 if hung else 200)

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        missing = ["draining"] if draining() else []
        missing += [f"{service.name}: {line}" for service in services for line in await service.readiness()]
        return JSONResponse({"status": "waiting" if missing else "ok", "missing": missing}, 503 if missing else 200)

    @app.get("/metrics", include_in_schema=False)
    async def scrape(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    posts = {path: handler for service in services for path, handler in service.posts.items()}
    app.add_middleware(_Direct, posts=posts)
    app.add_middleware(_Measure, metrics=metrics, name="+".join(service.name for service in services))
    return app


class _Direct:
    """Hands POSTs of known paths to their handlers: going through FastAPI's routing takes longer than they do."""

    def __init__(self, app: ASGIApp, *, posts: Mapping[str, Handler]) -> None:
        self._app = app
        self._posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._posts.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        scope["endpoint"] = handler  # as routing would: the path is that of a route
        response = await handler(Request(scope, receive))
        await response(scope, receive, send)


class _Measure:
    """Times each request under its route's template; plain ASGI, since a BaseHTTPMiddleware doubles the cost."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, name: str) -> None:
        self._app = app
        self._metrics = metrics
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.http_seconds.labels(self._name, _template(scope), str(status)).observe(seconds)


def _template(scope: Scope) -> str:
    """Return the path of the route, before its parameters are filled in.

    Starlette's own routes leave no trace but their endpoint and the values, which are put back where they came from.
    """
    if route := getattr(scope.get("route"), "path", None):
        return str(route)
    if "endpoint" not in scope:
        return "unmatched"
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) for part in str(scope["path"]).split("/"))
