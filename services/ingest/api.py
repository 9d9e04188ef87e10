"""What sources send to: one set of routes for each protocol, answered once the log has it.

The paths are plain Starlette routes: nothing per event happens before the answer but telling items apart.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from services.ingest.cloudevents_api import cloudevents_routes
from services.ingest.hook_api import HOOKS_PATH, hook_routes
from services.ingest.posthog_api import CAPTURE_PATHS, posthog_routes
from services.ingest.reception import Handler, Reception
from services.ingest.segment_api import CALL_PIXELS, segment_routes
from services.ingest.snowplow_api import PAYLOAD_PATH, PIXEL_PATHS, snowplow_routes

# Where a page without scripts, or a mail, sends by asking for something; or a provider looks whether anybody is there.
ALSO_BY_GET = frozenset({*CAPTURE_PATHS, *PIXEL_PATHS, PAYLOAD_PATH, HOOKS_PATH})


def source_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of each path, with and without a slash at its end: a redirect would lose what was posted."""
    routes = {
        **segment_routes(reception),
        **cloudevents_routes(reception),
        **posthog_routes(reception),
        **snowplow_routes(reception),
        **hook_routes(reception),
    }
    return {spelling: handler for path, handler in routes.items() for spelling in (path, f"{path}/")}


def create_router(routes: Mapping[str, Handler]) -> APIRouter:
    """Make the routes."""
    router = APIRouter()
    for path, handler in routes.items():
        router.add_route(path, handler, methods=methods_of(path))
    return router


def methods_of(path: str) -> list[str]:
    """Return the methods that a path takes."""
    path = path.rstrip("/")
    if path in CALL_PIXELS:
        return ["GET", "HEAD", "OPTIONS"]
    return ["GET", "HEAD", "POST", "OPTIONS"] if path in ALSO_BY_GET else ["POST", "OPTIONS"]
