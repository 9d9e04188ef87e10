"""What sources send to: Segment's tracking paths and CloudEvents, answered once the log has it.

The paths are plain Starlette routes: nothing per event happens before the answer but telling items apart.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.domain.rejection import Refused
from services.ingest.intake.body import BodyNotGzip, BodyTooLarge, inflate
from services.ingest.intake.credentials import QUERY_PARAMETERS, header_keys
from services.ingest.intake.envelope import (
    Envelope,
    attributes_of,
    cloudevents_form,
    open_batch,
    open_call,
    open_cloudevents,
)
from services.ingest.intake.record import (
    INTAKE_HEADER,
    KIND_HEADER,
    RECEIVED_AT_HEADER,
    SOURCE_HEADER,
    TRACE_HEADER,
    Intake,
    read_traceparent,
)
from services.ingest.settings import IngestSettings
from shared.clock import Clock
from shared.events.topics import TopicName
from shared.http.keys import KeyRing, Principal, Role
from shared.http.problems import ProblemError
from shared.log.errors import LogError, RecordTooLarge
from shared.log.protocol import EventLog
from shared.log.records import Headers, Record
from shared.telemetry.metrics import Metrics

# SDKs that heed it wait this long; the others have a schedule of their own.
RETRY_AFTER = timedelta(seconds=2)

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
CLOUDEVENTS_PATH = "/v1/events"

_ANY_ORIGIN = {"Access-Control-Allow-Origin": "*"}
_ACCEPTED = b'{"success":true}'

Handler = Callable[[Request], Awaitable[Response]]


def create_router(
    *, log: EventLog, keys: KeyRing, clock: Clock, metrics: Metrics, settings: IngestSettings
) -> APIRouter:
    """Make the routes, each with and without a slash at its end: a redirect would lose what was posted."""
    reception = _Reception(log=log, keys=keys, clock=clock, metrics=metrics, settings=settings)
    router = APIRouter()
    routes = {path: reception.segment(intake) for path, intake in SEGMENT_PATHS.items()}
    for path, handler in {**routes, CLOUDEVENTS_PATH: reception.cloudevents()}.items():
        for spelling in (path, f"{path}/"):
            router.add_route(spelling, handler, methods=["POST", "OPTIONS"])
    return router


class _Reception:
    """Accepts requests: one accepted request is one record."""

    def __init__(
        self, *, log: EventLog, keys: KeyRing, clock: Clock, metrics: Metrics, settings: IngestSettings
    ) -> None:
        self._log = log
        self._keys = keys
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._logger = structlog.get_logger()

    def segment(self, intake: Intake) -> Handler:
        """Return the handler of one path of Segment's."""
        opened = open_batch if intake in {Intake.SEGMENT_BATCH, Intake.SEGMENT_IMPORT} else open_call

        async def accept(request: Request) -> Response:
            body = await self._body(request)
            envelope = opened(body)
            source = self._source(request, envelope)
            await self._store(request, body, envelope, source, intake, more=())
            return Response(_ACCEPTED, media_type="application/json", headers=_ANY_ORIGIN)

        return self._answering(accept)

    def cloudevents(self) -> Handler:
        """Return the handler of CloudEvents in all their forms."""

        async def accept(request: Request) -> Response:
            body = await self._body(request)
            content_type = request.headers.get("content-type", "")
            attributes = attributes_of(request.headers.raw)
            intake = cloudevents_form(body, content_type=content_type, attributes=attributes)
            if intake is None:
                raise ProblemError(
                    415, "unsupported_format", "Send CloudEvents as JSON, in a batch, or in binary form."
                )
            envelope = open_cloudevents(body, intake, content_type=content_type)
            source = self._source(request, envelope)
            more: Headers = ()
            if intake is Intake.CLOUDEVENTS_BINARY:
                more = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
                if content_type:
                    more += (("content-type", content_type.encode()),)
            if envelope.events:
                await self._store(request, body, envelope, source, intake, more=more)
            return Response(_ACCEPTED, media_type="application/json", headers=_ANY_ORIGIN)

        return self._answering(accept)

    def _answering(self, accept: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            if request.method == "OPTIONS":
                return _options(request)
            try:
                return await accept(request)
            except Refused as refused:
                problem = ProblemError(400, refused.reason, refused.message)
            except BodyTooLarge:
                problem = ProblemError(
                    413, "body_too_large", f"Send at most {self._settings.max_body_bytes} bytes at once, inflated."
                )
            except BodyNotGzip as error:
                problem = ProblemError(400, "invalid_gzip", f"The body begins as gzip but is not: {error}.")
            except ClientDisconnect:
                problem = ProblemError(400, "incomplete_body", "The connection closed before the body was complete.")
            except RecordTooLarge as error:
                problem = ProblemError(413, "body_too_large", str(error))
            except LogError as error:
                self._logger.warning("request.refused", reason=repr(error))
                problem = ProblemError(
                    503,
                    "unavailable",
                    "The events could not be stored. Send them again.",
                    headers={"Retry-After": str(int(RETRY_AFTER.total_seconds()))},
                )
            except ProblemError as error:
                problem = error
            self._metrics.requests_refused.labels(problem.code).inc()
            problem.headers.update(_ANY_ORIGIN)
            return problem.response()

        return answer

    async def _body(self, request: Request) -> bytes:
        limit = self._settings.max_body_bytes
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise BodyTooLarge
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise BodyTooLarge
        return inflate(bytes(received), max_bytes=limit)

    def _source(self, request: Request, envelope: Envelope) -> Principal:
        """Return whose write key it is; the first that is one of a source counts. Raises a 401 or 403 problem."""
        other = None
        for key in _keys(request, envelope):
            principal = self._keys.find(key)
            if principal is not None and principal.role is Role.SOURCE:
                return principal
            other = other or principal
        if other is not None:
            raise ProblemError(403, "forbidden", f"A {other.role} key may not send events; it takes that of a source.")
        raise ProblemError(
            401,
            "unauthorized",
            "Send the write key of a source: by Basic or Bearer authorization, or as `writeKey`.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},  # Basic would have a browser ask its visitor
        )

    async def _store(
        self,
        request: Request,
        body: bytes,
        envelope: Envelope,
        source: Principal,
        intake: Intake,
        *,
        more: Headers,
    ) -> None:
        if envelope.events > self._settings.max_batch_events:
            raise ProblemError(400, "batch_too_long", f"Send at most {self._settings.max_batch_events} events at once.")
        kind = source.kind or "web"
        headers: Headers = (
            (SOURCE_HEADER, source.name.encode()),
            (KIND_HEADER, kind.encode()),
            (INTAKE_HEADER, intake.encode()),
            (RECEIVED_AT_HEADER, self._clock().isoformat(timespec="microseconds").encode()),
            *more,
        )
        trace = read_traceparent(request.headers.get(TRACE_HEADER, ""))
        if trace:
            headers += ((TRACE_HEADER, trace.encode()),)
        topic = TopicName.EVENTS_CAMPAIGN if kind == "campaign" else TopicName.EVENTS_WEB
        await self._log.append(topic, [Record(value=body, headers=headers)])
        self._metrics.events_accepted.labels(source.name).inc(envelope.events)


def _keys(request: Request, envelope: Envelope) -> Iterator[str]:
    yield from header_keys(request.headers.get("authorization", ""))
    if request.url.query:
        for name in QUERY_PARAMETERS:
            if key := request.query_params.get(name):
                yield key
    if envelope.write_key:
        yield envelope.write_key


def _options(request: Request) -> Response:
    """Answer a browser's preflight, and the handshake of CloudEvents' webhooks."""
    headers = {
        **_ANY_ORIGIN,
        "Allow": "POST, OPTIONS",
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": request.headers.get(
            "access-control-request-headers", "authorization, content-type"
        ),
        "Access-Control-Max-Age": "86400",
        "Vary": "Access-Control-Request-Headers",
    }
    if origin := request.headers.get("webhook-request-origin"):
        headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return Response(status_code=204, headers=headers)
