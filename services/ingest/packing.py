"""Touches and rejections as records."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from services.ingest.domain.event import Origin
from services.ingest.domain.rejection import Rejection
from services.ingest.intake.record import TRACE_HEADER
from shared.events.rejected import Rejected, encode_rejected
from shared.events.touch import Touch, encode_touches
from shared.ids import ContactId, derived_id, message_id
from shared.log.placement import partition_of
from shared.log.records import Headers, Record
from shared.postgres.outbox import MESSAGE_ID_HEADER

MAX_TOUCHES_BYTES = 512_000  # of one record
MAX_ORIGINAL_BYTES = 2_000_000  # of a rejection: base64 makes it a third longer, and the log takes 4 MiB
MAX_KEPT_HEADERS = 50
MAX_KEPT_HEADER_CHARACTERS = 1_000

_SAMPLED = 1


def pack_touches(touches: Iterable[tuple[Touch, str | None]], *, partitions: int) -> list[Record]:
    """Return records of `touches`, each with touches of its partition only.

    Touches of a request whose trace is sampled travel apart, under its `traceparent`.
    """
    groups: dict[tuple[int, str | None], list[bytes]] = {}
    for touch, traceparent in touches:
        trace = traceparent if traceparent and int(traceparent[-2:], 16) & _SAMPLED else None
        group = _partition(ContactId(touch.contact_id), partitions), trace
        groups.setdefault(group, []).append(encode_touches(touch))
    return [
        Record(value=value, partition=partition, headers=((TRACE_HEADER, trace.encode()),) if trace else ())
        for (partition, trace), encoded in groups.items()
        for value in _lists(encoded)
    ]


def pack_rejection(rejection: Rejection, origin: Origin, headers: Mapping[str, str]) -> Record:
    """Return what is kept of a rejection, under an id that is the same whenever the record is read."""
    place = origin.topic, origin.partition, origin.offset
    original, message = rejection.original, rejection.message
    if len(original) > MAX_ORIGINAL_BYTES:
        message += (
            f" These are the first {MAX_ORIGINAL_BYTES} of {len(original)} bytes;"
            f" all are at {origin.topic}/{origin.partition}@{origin.offset} until the topic's retention ends."
        )
        original = original[:MAX_ORIGINAL_BYTES]
    rejected = Rejected(
        id=derived_id("rejected", *place) if rejection.item is None else message_id(*place, rejection.item),
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        reason=rejection.reason,
        message=message,
        at=origin.received_at,
        original=original,
        headers={
            name[:MAX_KEPT_HEADER_CHARACTERS]: value[:MAX_KEPT_HEADER_CHARACTERS]
            for name, value in list(headers.items())[:MAX_KEPT_HEADERS]
        },
        item=rejection.item,
    )
    record_headers: Headers = ((MESSAGE_ID_HEADER, str(rejected.id).encode()),)
    if origin.traceparent:
        record_headers += ((TRACE_HEADER, origin.traceparent.encode()),)
    return Record(value=encode_rejected(rejected), headers=record_headers)


def _lists(encoded: list[bytes]) -> Iterable[bytes]:
    """Yield JSON lists of at most MAX_TOUCHES_BYTES, in order; a longer touch has a list of its own."""
    chunk: list[bytes] = []
    size = 2
    for one in encoded:
        if chunk and size + len(one) + 1 > MAX_TOUCHES_BYTES:
            yield b"[" + b",".join(chunk) + b"]"
            chunk, size = [], 2
        chunk.append(one)
        size += len(one) + 1
    yield b"[" + b",".join(chunk) + b"]"


@lru_cache(maxsize=100_000)
def _partition(contact: ContactId, partitions: int) -> int:
    return partition_of(str(contact).encode(), partitions)
