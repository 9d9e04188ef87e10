"""Snowplow's collector paths. Trackers repeat what is refused, save with 400, 401, 403, 410 and 422."""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.intake.body import BodyTooLarge
from services.ingest.intake.credentials import QUERY_PARAMETERS
from services.ingest.intake.envelope import open_snowplow
from services.ingest.intake.record import QUERY_HEADER, USER_AGENT_HEADER, Intake
from services.ingest.pixel import pixel
from services.ingest.reception import Handler, Reception
from shared.http.problems import ProblemError
from shared.log.errors import RecordTooLarge
from shared.log.records import Headers

PAYLOAD_PATH = "/com.snowplowanalytics.snowplow/tp2"
PIXEL_PATHS = ("/i", "/ice.png")
METHODS = "GET, HEAD, POST, OPTIONS"
MAX_QUERY_BYTES = 65_536  # of what goes with a payload; an event of its own is as large as any


def snowplow_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of each path; each takes a payload by POST and an event in its query by GET."""

    async def accept(request: Request) -> Response:
        match request.method:
            case "HEAD":
                return pixel()  # whoever asks about the pixel did not load it
            case "GET":
                await _store_query(reception, request)
                return pixel()
            case _:
                await _store_payload(reception, request)
                return Response(b"ok", media_type="text/plain")

    async def permanently(request: Request) -> Response:
        try:
            return await accept(request)
        except (BodyTooLarge, RecordTooLarge):
            raise ProblemError(
                400, "body_too_large", f"Send at most {reception.max_body_bytes} bytes at once."
            ) from None

    return dict.fromkeys((PAYLOAD_PATH, *PIXEL_PATHS), reception.answering(permanently, methods=METHODS))


async def _store_payload(reception: Reception, request: Request) -> None:
    body = await reception.body(request)
    envelope = open_snowplow(body)
    source = reception.source(request, in_body=[request.query_params.get("aid", ""), *envelope.write_keys])
    more = _agent(request)
    if query := _without_keys(request.url.query):
        if len(query) > MAX_QUERY_BYTES:
            raise BodyTooLarge
        more += ((QUERY_HEADER, query.encode()),)
    await reception.store(
        request, body, events=envelope.events, source=source, intake=Intake.SNOWPLOW_PAYLOAD, more=more
    )


async def _store_query(reception: Reception, request: Request) -> None:
    query = _without_keys(request.url.query).encode()
    if not query:
        raise ProblemError(400, "empty_batch", "Send an event in the query.")
    source = reception.source(request, in_body=[request.query_params.get("aid", "")])
    await reception.store(request, query, events=1, source=source, intake=Intake.SNOWPLOW_QUERY, more=_agent(request))


def _agent(request: Request) -> Headers:
    agent = request.headers.get("user-agent", "")[:1_000]
    return ((USER_AGENT_HEADER, agent.encode()),) if agent else ()


def _without_keys(query: str) -> str:
    """Return the query without what only says whose it is."""
    if not any(name in query for name in QUERY_PARAMETERS):
        return query
    return urlencode([(name, value) for name, value in parse_qsl(query) if name not in QUERY_PARAMETERS])
