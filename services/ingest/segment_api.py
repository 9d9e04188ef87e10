"""Segment's tracking paths, and those that RudderStack has besides."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.intake.envelope import open_batch, open_call
from services.ingest.intake.query_call import call_of_query
from services.ingest.intake.record import Intake
from services.ingest.pixel import pixel
from services.ingest.reception import Handler, Reception, accepted

SEGMENT_PATHS: Mapping[str, Intake] = {
    "/v1/batch": Intake.SEGMENT_BATCH,
    "/v1/b": Intake.SEGMENT_BATCH,
    "/beacon/v1/batch": Intake.SEGMENT_BATCH,
    "/v1/import": Intake.SEGMENT_IMPORT,
    "/v1/track": Intake.SEGMENT_TRACK,
    "/v1/t": Intake.SEGMENT_TRACK,
    "/v1/page": Intake.SEGMENT_PAGE,
    "/v1/p": Intake.SEGMENT_PAGE,
    "/v1/identify": Intake.SEGMENT_IDENTIFY,
    "/v1/i": Intake.SEGMENT_IDENTIFY,
    "/v1/screen": Intake.SEGMENT_SCREEN,
    "/v1/s": Intake.SEGMENT_SCREEN,
    "/v1/group": Intake.SEGMENT_GROUP,
    "/v1/g": Intake.SEGMENT_GROUP,
    "/v1/alias": Intake.SEGMENT_ALIAS,
    "/v1/a": Intake.SEGMENT_ALIAS,
}
# RudderStack's, for where there is no script: the call is in the query, and the answer is a picture.
CALL_PIXELS: Mapping[str, Intake] = {
    "/pixel/v1/track": Intake.SEGMENT_TRACK,
    "/pixel/v1/page": Intake.SEGMENT_PAGE,
}


def segment_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of each path."""
    return {
        **{path: reception.answering(_segment(reception, intake)) for path, intake in SEGMENT_PATHS.items()},
        **{
            path: reception.answering(_pixel(reception, intake), methods="GET, HEAD, OPTIONS")
            for path, intake in CALL_PIXELS.items()
        },
    }


def _segment(reception: Reception, intake: Intake) -> Handler:
    opened = open_batch if intake in {Intake.SEGMENT_BATCH, Intake.SEGMENT_IMPORT} else open_call

    async def accept(request: Request) -> Response:
        body = await reception.body(request)
        envelope = opened(body)
        source = reception.source(request, in_body=envelope.write_keys)
        await reception.store(request, body, events=envelope.events, source=source, intake=intake)
        return accepted()

    return accept


def _pixel(reception: Reception, intake: Intake) -> Handler:
    async def accept(request: Request) -> Response:
        if request.method == "GET":  # whoever asks about the picture by HEAD did not load it
            source = reception.source(request)
            await reception.store(request, call_of_query(request.url.query), events=1, source=source, intake=intake)
        return pixel()

    return accept
