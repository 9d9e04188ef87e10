"""Touches and rejections as records."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Row

from services.ingest.domain.event import Origin
from services.ingest.domain.rejection import Rejection
from services.ingest.intake.record import DISABLED_HEADER, RECEIVED_AT_HEADER, TRACE_HEADER
from shared.events.rejected import ATTEMPT_HEADER, MAX_ATTEMPTS, PLACE_HEADER, Place, encode_rejected, reject
from shared.events.touch import Touch, encode_touch, touches_partition
from shared.log.records import Headers, Record
from shared.postgres.outbox import MESSAGE_ID_HEADER

MAX_TOUCHES_BYTES = 512_000  # of one record

_SAMPLED = 1


def pack_touches(touches: Iterable[tuple[Touch, str | None]], *, partitions: int) -> list[Record]:
    """Return records of `touches`, each with touches of its partition only.

    Touches of a request whose trace is sampled travel apart, under its `traceparent`.
    """
    groups: dict[tuple[int, str | None], list[bytes]] = {}
    for touch, traceparent in touches:
        trace = traceparent if traceparent and int(traceparent[-2:], 16) & _SAMPLED else None
        group = touches_partition(touch.contact_id, partitions), trace
        groups.setdefault(group, []).append(encode_touch(touch))
    return [
        Record(value=value, partition=partition, headers=((TRACE_HEADER, trace.encode()),) if trace else ())
        for (partition, trace), encoded in groups.items()
        for value in _lists(encoded)
    ]


def pack_rejection(rejection: Rejection, origin: Origin, headers: Mapping[str, str]) -> Record:
    """Return what is kept of a rejection, under an id that is the same whenever the record is read."""
    if origin.requires_consent:  # headers can name people, too; and what has no bytes cannot be replayed
        headers = {name: value for name, value in headers.items() if name.startswith("tandem-")}
    rejected = reject(
        origin.place().at(rejection.item),
        reason=rejection.reason,
        message=rejection.message,
        at=origin.received_at,
        original=rejection.original,
        headers=headers.items(),
        frame=rejection.frame,
        source=origin.source,
        attempt=origin.attempt,
    )
    if origin.requires_consent:
        rejected = msgspec.structs.replace(rejected, incomplete=True)
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


def pack_replay(row: Row[Any], *, partition: int | None) -> Record:
    """Return the record that has a rejection read again: as itself, in its first place, as received at first."""
    place = Place(row.topic, row.partition, row.offset, row.item)
    headers = msgspec.json.decode(row.headers, type=dict[str, str])
    headers.pop(DISABLED_HEADER, None)  # whoever replays it wants it
    headers |= {PLACE_HEADER: str(place), ATTEMPT_HEADER: str(min(row.replays + 1, MAX_ATTEMPTS))}
    if row.source:  # ingest's own: when the record was received, even where its headers did not say it
        headers[RECEIVED_AT_HEADER] = row.received_at.isoformat(timespec="microseconds")
    return Record(
        value=row.before + row.original + row.after,
        headers=tuple((name, value.encode()) for name, value in headers.items()),
        partition=partition,
    )
