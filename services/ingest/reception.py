"""Reception: what the routes of all protocols do alike. One accepted request is one record of the log."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.domain.rejection import Refused
from services.ingest.domain.source import Source
from services.ingest.intake.body import BodyNotGzip, BodyTooLarge, inflate
from services.ingest.intake.credentials import QUERY_PARAMETERS, header_keys
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
from services.ingest.sources import SourceDirectory
from shared.clock import Clock
from shared.events.topics import TopicName
from shared.http.problems import ProblemError
from shared.log.errors import LogError, RecordTooLarge
from shared.log.protocol import EventLog
from shared.log.records import Headers, Record
from shared.telemetry.metrics import Metrics

# SDKs that heed it wait this long; the others have a schedule of their own.
RETRY_AFTER = timedelta(seconds=2)

_ACCEPTED = b'{"success":true}'

Handler = Callable[[Request], Awaitable[Response]]


def accepted() -> Response:
    """Return the answer that every SDK takes for success."""
    return Response(_ACCEPTED, media_type="application/json")


class Reception:
    """Reads, authorises and stores requests; what goes wrong becomes the answer that the senders understand."""

    def __init__(
        self, *, log: EventLog, sources: SourceDirectory, clock: Clock, metrics: Metrics, settings: IngestSettings
    ) -> None:
        self.sources = sources
        self.clock = clock
        self.max_body_bytes = settings.max_body_bytes
        self._log = log
        self._metrics = metrics
        self._settings = settings
        self._logger = structlog.get_logger()

    def answering(self, accept: Handler, *, methods: str = "POST, OPTIONS") -> Handler:
        """Return the handler with errors made into problems, and pages of any origin let in."""
        handle = self._with_problems(accept)

        async def answer(request: Request) -> Response:
            response = _options(request, methods) if request.method == "OPTIONS" else await handle(request)
            response.headers.update(_any_origin(request))
            return response

        return answer

    def _with_problems(self, accept: Handler) -> Handler:
        async def handle(request: Request) -> Response:
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
            return problem.response()

        return handle

    async def body(self, request: Request, *, max_bytes: int | None = None) -> bytes:
        """Return the body, inflated. Raises BodyTooLarge above the limit, which is the setting's unless given."""
        limit = max_bytes or self._settings.max_body_bytes
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > limit:
            raise BodyTooLarge
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > limit:
                raise BodyTooLarge
        return inflate(bytes(received), max_bytes=limit)

    def source(self, request: Request, *, in_body: Sequence[str] = ()) -> Source:
        """Return whose write key the request carries; the first that is known counts. Raises a 401 or 403 problem."""
        return self.sources.authorised(_keys(request, in_body))

    async def store(
        self,
        request: Request,
        body: bytes,
        *,
        events: int,
        source: Source,
        intake: Intake,
        more: Headers = (),
    ) -> None:
        """Have the log acknowledge the request. Raises ProblemError, LogError."""
        if events > self._settings.max_batch_events:
            raise ProblemError(400, "batch_too_long", f"Send at most {self._settings.max_batch_events} events at once.")
        headers: Headers = (
            (SOURCE_HEADER, source.name.encode()),
            (KIND_HEADER, source.kind.encode()),
            (INTAKE_HEADER, intake.encode()),
            (RECEIVED_AT_HEADER, self.clock().isoformat(timespec="microseconds").encode()),
            *more,
        )
        trace = read_traceparent(request.headers.get(TRACE_HEADER, ""))
        if trace:
            headers += ((TRACE_HEADER, trace.encode()),)
        topic = TopicName.EVENTS_CAMPAIGN if source.kind == "campaign" else TopicName.EVENTS_WEB
        await self._log.append(topic, [Record(value=body, headers=headers)])
        self._metrics.events_accepted.labels(source.name).inc(events)


def _keys(request: Request, in_body: Sequence[str]) -> Iterator[str]:
    yield from header_keys(request.headers.get("authorization", ""))
    if request.url.query:
        for name in QUERY_PARAMETERS:
            if key := request.query_params.get(name):
                yield key
    yield from filter(None, in_body)


def _options(request: Request, methods: str) -> Response:
    """Answer a browser's preflight, and the handshake of CloudEvents' webhooks."""
    headers = {
        "Allow": methods,
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": request.headers.get(
            "access-control-request-headers", "authorization, content-type"
        ),
        "Access-Control-Max-Age": "86400",
    }
    if origin := request.headers.get("webhook-request-origin"):
        headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return Response(status_code=204, headers=headers)


def _any_origin(request: Request) -> dict[str, str]:
    """Return the headers that let a page of any origin send and read the answer.

    Browser SDKs send with credentials, for which a browser takes no `*`. Nothing here rests on cookies.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return {"Access-Control-Allow-Origin": "*"}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin, Access-Control-Request-Headers",
    }
