"""What sources send to: one set of routes for each protocol, answered once the log has it.

The paths are plain Starlette routes: nothing per event happens before the answer but telling items apart.
"""

from fastapi import APIRouter

from services.ingest.cloudevents_api import cloudevents_routes
from services.ingest.reception import Reception
from services.ingest.segment_api import segment_routes


def create_router(reception: Reception) -> APIRouter:
    """Make the routes, each with and without a slash at its end: a redirect would lose what was posted."""
    router = APIRouter()
    for path, handler in {**segment_routes(reception), **cloudevents_routes(reception)}.items():
        for spelling in (path, f"{path}/"):
            router.add_route(spelling, handler, methods=["POST", "OPTIONS"])
    return router
