"""What an application answers when something breaks under its routes."""

import httpx
import pytest
from fastapi import APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.http.app import create_app
from shared.service import Service
from shared.telemetry.metrics import Metrics


def client(error: Exception) -> httpx.AsyncClient:
    """Return a client of an application whose only route raises the error."""

    async def broken() -> None:
        raise error

    async def ready() -> tuple[str, ...]:
        return ()

    router = APIRouter()
    router.add_api_route("/broken", broken)
    app = create_app(
        [Service(name="any", router=router, workers={}, readiness=ready)], metrics=Metrics(), draining=lambda: False
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://tandem.test")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        PoolTimeout(),
        DBAPIError("SELECT 1", {}, Exception(), connection_invalidated=True),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_away(error: Exception) -> None:
    """Every route answers that it is to be tried again, and when."""
    async with client(error) as http:
        answer = await http.get("/broken")

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    "error", [ValueError(), DBAPIError("SELEC 1", {}, Exception())], ids=lambda error: type(error).__name__
)
async def test_a_defect(error: Exception) -> None:
    """It is not called anything else."""
    async with client(error) as http:
        answer = await http.get("/broken")

    assert answer.status_code == 500
