"""What Tandem says about itself: the schemas of messages, the AsyncAPI document, and a true OpenAPI document."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from shared.events.asyncapi import asyncapi_document
from shared.events.schemas import Schema, published_schemas
from shared.http.problems import MEDIA_TYPE, ProblemError
from shared.service import Service

SCHEMA_MEDIA_TYPE = "application/schema+json"
# Of a route that nobody needs a key for, and that answers with a JSON Schema: an object, not text as FastAPI supposes.
SCHEMA_ANSWER: dict[str, Any] = {
    "security": [],
    "responses": {"200": {"content": {SCHEMA_MEDIA_TYPE: {"schema": {"type": "object"}}}}},
}
DISTRIBUTION = "tandem-handoff"

_METHODS = frozenset({"get", "put", "post", "delete", "patch"})
_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "message"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "For machines; it never changes its meaning."},
        "message": {"type": "string", "description": "What was wrong, and what would be right."},
    },
}
# What any request with a key may be answered besides what its route says.
_EVERYWHERE = {
    "401": "No key came with it, or an unknown one.",
    "403": "The key is of a role that may not do this.",
    "422": "Something in it is not as it has to be.",
    "503": "A server that Tandem needs is away. Try again.",
}
_SOMEWHERE = {
    "404": "There is no such thing.",
    "409": "It does not fit what is there.",
    "413": "The body is too large.",
}


def document_routes(services: Sequence[Service]) -> APIRouter:
    """Return the routes of schemas and of `/asyncapi.json`; nobody needs a key for them."""
    schemas: dict[str, Schema] = published_schemas()
    for service in services:
        schemas |= service.schemas
    document = msgspec.json.encode(asyncapi_document(version=version(DISTRIBUTION)))
    router = APIRouter(tags=["documents"])

    @router.get("/v1/schemas", summary="The schemas that there are, by name", openapi_extra={"security": []})
    async def list_schemas() -> Response:
        listed = [
            {"name": name, "title": schema["title"], "url": f"/v1/schemas/{name}"} for name, schema in schemas.items()
        ]
        return Response(msgspec.json.encode({"schemas": listed}), media_type="application/json")

    @router.get(
        "/v1/schemas/{name}",
        summary="The JSON Schema of an event or a message",
        openapi_extra=SCHEMA_ANSWER,
        response_class=_SchemaResponse,
    )
    async def read_schema(name: str) -> Response:
        schema = schemas.get(name)
        if schema is None:
            raise ProblemError(404, "no_such_schema", "There is no schema of that name; /v1/schemas lists them.")
        return _SchemaResponse(msgspec.json.encode(schema))

    @router.get("/asyncapi.json", summary="The topics, in AsyncAPI 3", openapi_extra={"security": []})
    async def read_asyncapi() -> Response:
        return Response(document, media_type="application/json")

    return router


def install_openapi(app: FastAPI, services: Sequence[Service]) -> None:
    """Have `/openapi.json` tell of the services' plain routes too, of keys, and of problems as they are."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generated()
            paths: dict[str, Any] = document.setdefault("paths", {})
            for path, item in paths.items():
                for method, operation in item.items():
                    if method in _METHODS:
                        _correct(path, method, operation)
            for service in services:
                paths |= service.paths
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _PROBLEM
            for name in ("HTTPValidationError", "ValidationError"):
                components["schemas"].pop(name, None)  # FastAPI's own errors, which nobody gets
            components["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of one of Tandem's roles."},
                "writeKey": {"type": "http", "scheme": "basic", "description": "A source's write key as user name."},
                "writeKeyInQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
            }
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def problem_response(meaning: str) -> dict[str, Any]:
    """Return how OpenAPI describes an answer that is a problem."""
    return {"description": meaning, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def _correct(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    needs_key = operation.setdefault("security", [{"key": []}]) != []
    told = dict(_EVERYWHERE) if needs_key else {"422": _EVERYWHERE["422"]}
    if "{" in path:
        told["404"] = _SOMEWHERE["404"]
    if method in {"post", "put", "patch", "delete"}:
        told |= _SOMEWHERE
    responses |= {
        status: problem_response(meaning) for status, meaning in told.items() if not _is_said(responses, status)
    }


def _is_said(responses: Mapping[str, Any], status: str) -> bool:
    """Tell whether a route itself says what this answer is; what FastAPI adds for its own errors is never given."""
    content = responses.get(status, {}).get("content", {})
    return bool(content) and "HTTPValidationError" not in str(content)


class _SchemaResponse(Response):
    media_type = SCHEMA_MEDIA_TYPE
