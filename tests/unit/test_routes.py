"""Several services behind one port: whose path is whose."""

import httpx
from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from services.ingest.hook_api import HOOKS_PATH
from services.router.crm_api import HOOK_PATH
from shared.http.app import create_app
from shared.service import Service
from shared.telemetry.metrics import Metrics


def service(name: str, path: str) -> Service:
    """Return a service that answers posts to one path with its name."""

    async def answer() -> PlainTextResponse:
        return PlainTextResponse(name)

    async def ready() -> tuple[str, ...]:
        return ()

    router = APIRouter()
    router.add_api_route(path, answer, methods=["POST"])
    return Service(name=name, router=router, workers={}, readiness=ready)


async def test_webhooks_of_providers_and_of_crms() -> None:
    """In one process a CRM's go to the router, though ingest's path would match them too."""
    services = [service("ingest", HOOKS_PATH), service("router", HOOK_PATH)]
    app = create_app(services, metrics=Metrics(), draining=lambda: False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tandem.test") as http:
        answers = [(await http.post(f"/v1/hooks/{path}")).text for path in ("hubspot/site", "crm/sales")]

    assert answers == ["ingest", "router"]
