"""What every service says about itself over HTTP, without a key."""

import jsonschema
from starlette.routing import Route

from shared.events.schemas import published_schemas
from tests.integration.ingest.installed import Ingest


async def test_schemas(ingest: Ingest) -> None:
    """All are listed, each is served at its address, and an unknown one is a problem."""
    listed = (await ingest.client.get("/v1/schemas")).json()["schemas"]

    assert {one["name"] for one in listed} >= {"email-opened", "page", "touch", "handoff-ready", *published_schemas()}
    for one in listed:
        answer = await ingest.client.get(one["url"])

        assert answer.headers["content-type"] == "application/schema+json"
        jsonschema.Draft202012Validator.check_schema(answer.json())
    unknown = await ingest.client.get("/v1/schemas/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no_such_schema")


async def test_asyncapi(ingest: Ingest) -> None:
    """The document is served as JSON."""
    answer = await ingest.client.get("/asyncapi.json")

    assert answer.json()["asyncapi"] == "3.0.0"
    assert "touches" in answer.json()["channels"]


async def test_openapi(ingest: Ingest) -> None:
    """Every path that takes events is told, with its body, its answers and its keys."""
    document = (await ingest.client.get("/openapi.json")).json()
    plain = {
        route.path
        for route in ingest.service.router.routes
        if isinstance(route, Route) and not route.path.endswith("/")
    }

    assert plain
    assert plain <= set(document["paths"])
    for path in ("/v1/batch", "/v1/track", "/v1/t", "/v1/events"):
        operation = document["paths"][path]["post"]
        assert {"200", "400", "401", "403", "413", "503"} <= set(operation["responses"])
        assert operation["requestBody"]["content"]
        assert {"writeKey": []} in operation["security"]
    assert "HTTPValidationError" not in document["components"]["schemas"]
