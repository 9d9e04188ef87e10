"""Reading records of `handoffs`: what can be understood, and what is set aside with its reason."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.router.domain.brief import write_brief
from services.router.domain.clock import after, promise_of
from services.router.store.handoffs import NewHandoff
from shared.clock import require_aware
from shared.events.handoff import ContactOptedOut, HandoffMessage, HandoffReady, decode_handoff
from shared.events.rejected import Place, encode_rejected, rejected_by
from shared.events.topics import TopicName
from shared.ids import MessageId
from shared.log.records import Batch, StoredRecord
from shared.postgres.outbox import TRACE_HEADER, OutboxMessage

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Intake:
    """What a fetch brought."""

    handoffs: tuple[NewHandoff, ...]
    opt_outs: tuple[ContactOptedOut, ...]
    rejected: tuple[OutboxMessage, ...]


def read_batches(batches: Iterable[Batch], *, now: datetime) -> Intake:
    """Read every record. Nothing is dropped: what is not understood is rejected with its bytes."""
    handoffs: list[NewHandoff] = []
    opt_outs: list[ContactOptedOut] = []
    rejected: list[OutboxMessage] = []
    for record in (record for batch in batches for record in batch.records):
        try:
            match read_message(record.value):
                case HandoffReady() as ready:
                    brief = write_brief(ready)  # once it is in the queue it must not fail for want of one
                    handoffs.append(NewHandoff(ready, brief, document=record.value, traceparent=trace_of(record)))
                case ContactOptedOut() as opt_out:
                    opt_outs.append(opt_out)
        except (ValueError, OverflowError, RecursionError) as error:  # msgspec's errors are ValueErrors
            rejected.append(reject(record, reason="malformed", message=str(error), now=now))
    return Intake(handoffs=tuple(handoffs), opt_outs=tuple(opt_outs), rejected=tuple(rejected))


def read_message(value: bytes) -> HandoffMessage:
    """Read one record. Raises ValueError or OverflowError that says what is wrong."""
    message = decode_handoff(value)
    for instant in _instants(message):
        require_aware(instant)
    if isinstance(message, HandoffReady):
        _check_clock(message)  # in the queue it must not stop the clock of everybody else
    return message


def _check_clock(ready: HandoffReady) -> None:
    try:
        after(ready.respond.calendar, ready.decided_at, promise_of(ready.respond).within)
    except (KeyError, NotImplementedError, OSError) as error:  # no such zone, no such holidays
        raise ValueError(f"The calendar of `respond` cannot be used: {error}") from None


def reject(record: StoredRecord, *, reason: str, message: str, now: datetime) -> OutboxMessage:
    """Return what keeps the record in `events.rejected`, under an identity that a repeat has too."""
    rejected = rejected_by(
        record.headers,
        Place(record.partition.topic, record.partition.number, record.offset),
        reason=reason,
        message=message,
        at=now,
        original=record.value,
    )
    return OutboxMessage(
        id=MessageId(rejected.id),
        topic=TopicName.EVENTS_REJECTED,
        key=str(rejected.id).encode(),
        value=encode_rejected(rejected),
    )


def trace_of(record: StoredRecord) -> str | None:
    """Return the trace that the record belongs to; what is not one is left behind, it would end up in a header."""
    trace = (record.header(TRACE_HEADER) or b"").decode("latin-1")
    return trace if _TRACEPARENT.fullmatch(trace) else None


def _instants(message: HandoffMessage) -> Sequence[datetime]:
    match message:
        case HandoffReady():
            touches = [touch.at for touch in message.recent]
            people = message.account.people if message.account else ()
            last = [person.last_at for person in people if person.last_at is not None]
            return [message.decided_at, *touches, *(words.at for words in message.words), *last]
        case ContactOptedOut():
            return [message.at]
