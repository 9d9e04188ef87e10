"""Segment's tracking paths."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.intake.envelope import open_batch, open_call
from services.ingest.intake.record import Intake
from services.ingest.reception import Handler, Reception, accepted

SEGMENT_PATHS: Mapping[str, Intake] = {
    "/v1/batch": Intake.SEGMENT_BATCH,
    "/v1/b": Intake.SEGMENT_BATCH,
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


def segment_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of each path."""
    return {path: reception.answering(_segment(reception, intake)) for path, intake in SEGMENT_PATHS.items()}


def _segment(reception: Reception, intake: Intake) -> Handler:
    opened = open_batch if intake in {Intake.SEGMENT_BATCH, Intake.SEGMENT_IMPORT} else open_call

    async def accept(request: Request) -> Response:
        body = await reception.body(request)
        envelope = opened(body)
        source = reception.source(request, in_body=envelope.write_keys)
        await reception.store(request, body, events=envelope.events, source=source, intake=intake)
        return accepted()

    return accept
