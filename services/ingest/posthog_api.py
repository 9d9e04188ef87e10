"""PostHog's capture paths, and the one of its capture protocol v1."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from services.ingest.domain.instants import read_milliseconds
from services.ingest.domain.rejection import Refused
from services.ingest.intake.envelope import open_posthog, posthog_ids
from services.ingest.intake.record import SENT_AT_HEADER, Intake
from services.ingest.intake.wrapping import unwrapped
from services.ingest.reception import Handler, Reception
from shared.http.problems import ProblemError
from shared.log.records import Headers

CAPTURE_PATHS = ("/batch", "/capture", "/e", "/engage", "/track", "/i/v0/e")
CAPTURE_V1_PATH = "/i/v1/analytics/events"
METHODS = "GET, POST, OPTIONS"
NOT_TAKEN = frozenset({"br", "zstd"})


def posthog_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of each path."""

    async def store(request: Request, sent_at: str) -> bytes:
        if request.headers.get("content-encoding", "").strip().lower() in NOT_TAKEN:
            raise ProblemError(415, "unsupported_format", "Compress with gzip or deflate, or not at all.")
        query = request.query_params
        raw = query.get("data", "").encode() or await reception.body(request)
        body = unwrapped(raw, compression=query.get("compression", ""), max_bytes=reception.max_body_bytes)
        envelope = open_posthog(body)
        source = reception.source(
            request, in_body=[*envelope.write_keys, query.get("api_key", ""), query.get("token", "")]
        )
        more: Headers = ((SENT_AT_HEADER, sent_at.encode()),) if sent_at else ()
        await reception.store(request, body, events=envelope.events, source=source, intake=Intake.POSTHOG, more=more)
        return body

    async def capture(request: Request) -> Response:
        if request.method != "HEAD":
            await store(request, _sent_at(request.query_params.get("_", "")))
        return Response(b'{"status":1}', media_type="application/json")

    async def capture_v1(request: Request) -> Response:
        body = await store(request, request.headers.get("posthog-request-timestamp", ""))
        results = {number: {"result": "ok"} for number in posthog_ids(body)}
        return Response(msgspec.json.encode({"results": results}), media_type="application/json")

    return {
        **dict.fromkeys(CAPTURE_PATHS, reception.answering(capture, methods=METHODS)),
        CAPTURE_V1_PATH: reception.answering(capture_v1),
    }


def _sent_at(milliseconds: str) -> str:
    """Return when `posthog-js` sent it, by its query; older versions send seconds, which say too little."""
    try:
        instant = read_milliseconds(milliseconds)
    except Refused:
        return ""
    return instant.isoformat() if instant.year > 2000 else ""
