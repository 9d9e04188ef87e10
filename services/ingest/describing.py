"""What OpenAPI says of the paths that take events: they are plain routes, which FastAPI knows nothing of."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import Route, compile_path

from services.ingest.cloudevents_api import CLOUDEVENTS_PATH
from services.ingest.hook_api import HOOKS_PATH
from services.ingest.intake.record import Intake
from services.ingest.posthog_api import CAPTURE_PATHS, CAPTURE_V1_PATH
from services.ingest.segment_api import CALL_PIXELS, SEGMENT_PATHS
from services.ingest.snowplow_api import PAYLOAD_PATH, PIXEL_PATHS
from shared.events.schemas import Schema, call_properties
from shared.http.documents import problem_response

_SECURITY: list[dict[str, list[str]]] = [
    {"writeKey": []},
    {"key": []},
    {"writeKeyInQuery": []},
    {},
]  # the last: the key in the body
_SUCCESS: Schema = {"type": "object", "required": ["success"], "properties": {"success": {"const": True}}}
_CAPTURED: Schema = {"type": "object", "required": ["status"], "properties": {"status": {"const": 1}}}
_RESULTS: Schema = {"type": "object", "required": ["results"], "properties": {"results": {"type": "object"}}}
_PICTURE: dict[str, Any] = {"image/gif": {}}
_REFUSALS = {
    "400": "The request as a whole cannot be taken; nothing of it is stored.",
    "401": "No write key of a source came with it.",
    "403": "The key is not that of a source, or the source is disabled.",
    "408": "The body did not come in time.",
    "413": "It is too large; nothing of it is stored.",
    "429": "The source sends more than it may. `Retry-After` says when to go on.",
    "503": "The log did not acknowledge it in time. Send it again.",
}
_WITHOUT_413 = {status: meaning for status, meaning in _REFUSALS.items() if status != "413"}
_PAYLOAD: Schema = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "array", "minItems": 1, "items": {"type": "object"}}},
}
_CALL_TYPES = {
    Intake.SEGMENT_TRACK: "track",
    Intake.SEGMENT_PAGE: "page",
    Intake.SEGMENT_SCREEN: "screen",
    Intake.SEGMENT_IDENTIFY: "identify",
    Intake.SEGMENT_GROUP: "group",
    Intake.SEGMENT_ALIAS: "alias",
}
_KEY: Schema = {"writeKey": {"type": "string", "description": "The write key, where no header has it."}}
_OBJECT: Schema = {"type": ["object", "null"]}
_FACTS: Mapping[str, Schema] = {
    "track": {"event": {"type": "string", "minLength": 1}, "properties": _OBJECT},
    "page": {"name": {"type": ["string", "null"]}, "properties": _OBJECT},
    "screen": {"name": {"type": ["string", "null"]}, "properties": _OBJECT},
    "identify": {"traits": _OBJECT},
    "group": {"groupId": {"type": ["string", "number"]}, "traits": _OBJECT},
    "alias": {"previousId": {"type": ["string", "number"]}},
}
_CLOUDEVENT: Schema = {
    "type": "object",
    "required": ["id", "source", "type", "specversion"],
    "properties": {
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "specversion": {"const": "1.0"},
        "data": {"type": "object"},
    },
}


def described(router: APIRouter) -> dict[str, Any]:
    """Return the path items of the router's plain routes, each told once: a slash at its end changes nothing."""
    items: dict[str, Any] = {}
    for route in router.routes:
        if not isinstance(route, Route) or isinstance(route, APIRoute) or route.path.endswith("/"):
            continue
        item = items.setdefault(route.path_format, {})
        for method in sorted((route.methods or set()) - {"OPTIONS", "HEAD"}):
            item[method.lower()] = _operation(route.path, method)
        if parameters := sorted(compile_path(route.path)[2]):
            item["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in parameters
            ]
    return items


def _operation(path: str, method: str) -> dict[str, Any]:
    summary, content, refusals = _words(path)
    operation: dict[str, Any] = {
        "tags": ["events"],
        "summary": summary,
        "security": _SECURITY,
        "responses": {
            "200": {"description": "The log has it.", "content": _success(path, method)},
            **{status: problem_response(meaning) for status, meaning in refusals.items()},
        },
    }
    if method == "POST":
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _success(path: str, method: str) -> dict[str, Any]:
    if path in CAPTURE_PATHS:
        return _json(_CAPTURED)
    if path == CAPTURE_V1_PATH:
        return _json(_RESULTS)
    if path in CALL_PIXELS:
        return _PICTURE
    if path in {PAYLOAD_PATH, *PIXEL_PATHS}:
        return _PICTURE if method == "GET" else {"text/plain": {"schema": {"const": "ok"}}}
    return _json(_SUCCESS)


def _words(path: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    intake = SEGMENT_PATHS.get(path)
    if intake in _CALL_TYPES:
        kind = _CALL_TYPES[intake]
        return f"A {kind} call in Segment's form", _json(_call(kind)), _REFUSALS
    if intake is not None:
        calls: Schema = {"oneOf": [_call(kind, is_told=True) for kind in _FACTS]}
        batch = {
            "batch": {"type": "array", "minItems": 1, "maxItems": 2500, "items": calls},
            "context": _OBJECT,
            **_KEY,
        }
        return (
            "Several calls in Segment's form",
            _json({"type": "object", "required": ["batch"], "properties": batch}),
            _REFUSALS,
        )
    if path == CLOUDEVENTS_PATH:
        content = {
            "application/cloudevents+json": {"schema": _CLOUDEVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _CLOUDEVENT}},
        }
        return (
            "CloudEvents: structured, in a batch, or binary",
            content,
            {**_REFUSALS, "415": "The format is none of these."},
        )
    if path in {*CAPTURE_PATHS, CAPTURE_V1_PATH}:
        form = "Events as PostHog's SDKs send them"
        return form, {"*/*": {}}, {**_REFUSALS, "415": "It is packed by `zstd` or `br`."}
    if path in {PAYLOAD_PATH, *PIXEL_PATHS}:
        return "Events as Snowplow's trackers send them", _json(_PAYLOAD), _WITHOUT_413
    if path in CALL_PIXELS:
        return "A call in Segment's form, its fields in the query", {}, _WITHOUT_413
    if path == HOOKS_PATH:
        forms: dict[str, Any] = {"application/json": {}, "application/x-www-form-urlencoded": {}}
        return "A provider's webhook", forms, {**_REFUSALS, "406": "Nothing proves who sent it, told to Mailgun."}
    return "Events in the form of another system", {"*/*": {}}, _REFUSALS


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _call(kind: str, *, is_told: bool = False) -> Schema:
    properties = {**_FACTS[kind], **call_properties(), **_KEY}
    required = ["event"] if kind == "track" else []
    if is_told:
        properties["type"] = {"const": kind}
        required.append("type")
    return {"type": "object", "required": required, "properties": properties}
