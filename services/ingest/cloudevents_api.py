"""The path that takes CloudEvents in all their forms."""

from starlette.requests import Request
from starlette.responses import Response

from services.ingest.intake.envelope import attributes_of, cloudevents_form, open_cloudevents
from services.ingest.intake.record import Intake
from services.ingest.reception import Handler, Reception, accepted
from shared.http.problems import ProblemError
from shared.log.records import Headers

CLOUDEVENTS_PATH = "/v1/events"


def cloudevents_routes(reception: Reception) -> dict[str, Handler]:
    """Return the handler of the path."""

    async def accept(request: Request) -> Response:
        body = await reception.body(request)
        content_type = request.headers.get("content-type", "")
        attributes = attributes_of(request.headers.raw)
        intake = cloudevents_form(body, content_type=content_type, attributes=attributes)
        if intake is None:
            raise ProblemError(415, "unsupported_format", "Send CloudEvents as JSON, in a batch, or in binary form.")
        envelope = open_cloudevents(body, intake, content_type=content_type)
        source = reception.source(request)
        more: Headers = ()
        if intake is Intake.CLOUDEVENTS_BINARY:
            more = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
            if content_type:
                more += (("content-type", content_type.encode()),)
        if envelope.events:
            await reception.store(request, body, events=envelope.events, source=source, intake=intake, more=more)
        return accepted()

    return {CLOUDEVENTS_PATH: reception.answering(accept)}
