"""Reception: what the routes of all protocols do alike. One accepted request is one record of the log."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.ingest.admission import Admission, Holding
from services.ingest.domain.log_health import Health
from services.ingest.domain.rejection import Refused
from services.ingest.domain.source import Allowance, Source
from services.ingest.intake.body import GZIP_MAGIC, BodyError, BodyNotGzip, BodyTooLarge, inflate
from services.ingest.intake.credentials import QUERY_PARAMETERS, header_keys
from services.ingest.intake.record import (
    CONSENT_HEADER,
    INTAKE_HEADER,
    KIND_HEADER,
    RECEIVED_AT_HEADER,
    SOURCE_HEADER,
    TRACE_HEADER,
    Intake,
    read_traceparent,
)
from services.ingest.log_gate import LogAway, LogGate
from services.ingest.metering import Meter
from services.ingest.settings import IngestSettings
from services.ingest.sources import SourceDirectory, require_enabled
from shared.clock import Clock
from shared.durations import format_duration
from shared.events.topics import TopicName
from shared.http.cross_origin import EXPOSED, any_origin
from shared.http.problems import ProblemError
from shared.log.errors import LogError, RecordTooLarge
from shared.log.protocol import EventLog
from shared.log.records import Headers, Record
from shared.telemetry.metrics import Metrics

# SDKs that heed it wait this long; the others have a schedule of their own.
RETRY_AFTER = timedelta(seconds=2)

_ACCEPTED = b'{"success":true}'

_REFUSALS = (ProblemError, Refused, BodyError, ClientDisconnect, LogError)

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
        self._gate = LogGate()
        self._admission = Admission(
            max_requests=settings.max_requests_in_flight, max_bytes=settings.max_bytes_in_flight
        )
        self.meter = Meter(
            defaults=Allowance(
                rate=settings.source_rate,
                burst=settings.source_burst,
                daily_quota=settings.source_daily_quota,
                max_body_bytes=settings.max_body_bytes,
                max_batch_events=settings.max_batch_events,
            ),
            clock=clock,
        )
        self._logger = structlog.get_logger()
        metrics.requests_in_flight.set_function(lambda: self._admission.requests_storing)
        metrics.bytes_in_flight.set_function(lambda: self._admission.bytes_held)
        metrics.log_away.set_function(lambda: self._gate.health is not Health.UP)

    def answering(self, accept: Handler, *, methods: str = "POST, OPTIONS") -> Handler:
        """Return the handler with errors made into problems, and pages of any origin let in."""
        handle = self._with_problems(accept)

        async def answer(request: Request) -> Response:
            response = _options(request, methods) if request.method == "OPTIONS" else await handle(request)
            response.headers.update(any_origin(request.headers.get("origin")))
            return response

        return answer

    def _with_problems(self, accept: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            limit = self._settings.max_body_bytes
            try:
                with self._admission.entered() as holding:
                    self._gate.check()
                    request.state.holding = holding
                    try:
                        return await accept(request)
                    finally:
                        limit = holding.limit
            except _REFUSALS as error:
                problem = self._problem(error, limit)
            self._metrics.requests_refused.labels(problem.code).inc()
            if "Retry-After" in problem.headers:
                problem.headers |= EXPOSED
            return problem.response()

        return handle

    def _problem(self, error: Exception, limit: int) -> ProblemError:
        match error:
            case ProblemError():
                return error
            case Refused():
                return ProblemError(400, error.reason, error.message)
            case BodyTooLarge():
                return ProblemError(413, "body_too_large", f"Send at most {limit} bytes at once, inflated.")
            case BodyNotGzip():
                return ProblemError(400, "invalid_gzip", f"The body begins as gzip but is not: {error}.")
            case ClientDisconnect():
                return ProblemError(400, "incomplete_body", "The connection closed before the body was complete.")
            case RecordTooLarge():
                return ProblemError(413, "body_too_large", str(error))
            case _:
                if not isinstance(error, LogAway):  # which is told once, when the log goes away
                    self._logger.warning("request.refused", reason=repr(error))
                return ProblemError(
                    503,
                    "unavailable",
                    "The events could not be stored. Send them again.",
                    headers={"Retry-After": str(int(RETRY_AFTER.total_seconds()))},
                )

    async def body(self, request: Request, *, max_bytes: int | None = None) -> bytes:
        """Return the body, inflated. Raises BodyTooLarge above the limit, which is the source's unless given.

        Raises a 408 problem when it takes too long, and a 503 problem when there is no room for it.
        """
        holding: Holding = request.state.holding
        holding.limit = max_bytes or self._limit(request)
        holding.of_protocol = max_bytes is not None
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            if int(length[:20]) > holding.limit:
                raise BodyTooLarge
            holding.expect(int(length))
        received = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_timeout.total_seconds()):
                async for chunk in request.stream():
                    holding.grow(len(chunk))
                    received += chunk
                    if len(received) > holding.limit:
                        raise BodyTooLarge
        except TimeoutError:
            raise ProblemError(
                408,
                "body_timeout",
                f"Send the whole body within {format_duration(self._settings.body_timeout)}.",
                headers={"Connection": "close"},
            ) from None
        if received.startswith(GZIP_MAGIC):
            holding.expect(holding.limit)
            inflated = inflate(bytes(received), max_bytes=holding.limit)
            holding.grow(len(inflated))
            return inflated
        return bytes(received)

    def _limit(self, request: Request) -> int:
        """Return how large the body may be: as its source may send, or any source while the key is yet to be read."""
        source = self.sources.find(_keys(request, ()))
        if source is not None:
            return self.meter.allowance(source).max_body_bytes or self._settings.max_body_bytes
        return max(self._settings.max_body_bytes, self.sources.largest_body)

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
        """Have the log acknowledge the request. Raises ProblemError, BodyTooLarge, LogError."""
        require_enabled(source)
        holding: Holding = request.state.holding
        allowance = self.meter.allowance(source)
        if allowance.max_batch_events and events > allowance.max_batch_events:
            raise ProblemError(400, "batch_too_long", f"Send at most {allowance.max_batch_events} events at once.")
        if allowance.max_body_bytes and len(body) > allowance.max_body_bytes and not holding.of_protocol:
            holding.limit = allowance.max_body_bytes
            raise BodyTooLarge
        headers: Headers = (
            (SOURCE_HEADER, source.name.encode()),
            (KIND_HEADER, source.kind.encode()),
            (INTAKE_HEADER, intake.encode()),
            (RECEIVED_AT_HEADER, self.clock().isoformat(timespec="microseconds").encode()),
            *more,
        )
        if source.requires_consent:
            headers += ((CONSENT_HEADER, source.requires_consent.encode()),)
        trace = read_traceparent(request.headers.get(TRACE_HEADER, ""))
        if trace:
            headers += ((TRACE_HEADER, trace.encode()),)
        topic = TopicName.EVENTS_CAMPAIGN if source.kind == "campaign" else TopicName.EVENTS_WEB
        with holding.storing(), self._gate.passing(), self.meter.admitted(source, events):
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
