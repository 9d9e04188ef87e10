"""Segment's HTTP tracking API, as its SDKs and RudderStack's really speak it."""

from typing import Any

import msgspec

from services.ingest.domain.event import Event, Origin
from services.ingest.domain.rejection import Reason, Refused, Rejection
from services.ingest.domain.scalars import scalar_text
from services.ingest.intake.fields import NO_CONTEXT, TYPES, Context, Fields, Limits, event_of
from services.ingest.intake.payload import check, check_size, decode
from shared.events.touch import TouchType


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw]
    sentAt: Any = None  # noqa: N815  # the protocol's spelling
    context: msgspec.Raw = msgspec.Raw()


_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])
_batches = msgspec.json.Decoder(_Batch)
_contexts = msgspec.json.Decoder(Context | None)
_items = msgspec.json.Decoder(Fields)


def read_batch(body: bytes, origin: Origin, limits: Limits) -> list[Event | Rejection]:
    """Return what each item of a batch is. Raises Refused when it cannot be told apart into items."""
    batch = decode(_batches, body)
    if not batch.batch:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `batch`.")
    context, context_bytes = _shared_context(bytes(batch.context))
    return [
        _read(bytes(raw), None, origin, limits, item=item, context=context, more=context_bytes, sent_at=batch.sentAt)
        for item, raw in enumerate(batch.batch)
    ]


def read_call(body: bytes, kind: TouchType | None, origin: Origin, limits: Limits) -> Event | Rejection:
    """Return what a single call is; its own `type` says so where the path did not."""
    return _read(body, kind, origin, limits, item=0, context=NO_CONTEXT, more=0, sent_at=None)


def top_level_keys(body: bytes) -> set[str]:
    """Return the keys of the object. Raises Refused."""
    keys: dict[str, msgspec.Raw] = decode(_keys, body)
    return set(keys)


def _shared_context(raw: bytes) -> tuple[Context, int]:
    if not raw:
        return NO_CONTEXT, 0
    check(raw)
    return decode(_contexts, raw) or NO_CONTEXT, len(raw)


def _read(
    raw: bytes,
    kind: TouchType | None,
    origin: Origin,
    limits: Limits,
    *,
    item: int,
    context: Context,
    more: int,
    sent_at: Any,
) -> Event | Rejection:
    try:
        check_size(len(raw) + more, limits.max_event_bytes)
        check(raw)
        fields = decode(_items, raw)
        return event_of(
            fields,
            kind or _type_of(fields),
            origin,
            context=context,
            sent_at=sent_at,
            message_id=scalar_text(fields.messageId).strip()
            or f"{origin.topic}/{origin.partition}/{origin.offset}/{item}",
            limits=limits,
        )
    except Refused as refused:
        return Rejection(refused.reason, refused.message, raw, item)


def _type_of(fields: Fields) -> TouchType:
    kind = TYPES.get(fields.type.strip().lower()) if isinstance(fields.type, str) else None
    if kind is None:
        raise Refused(Reason.UNKNOWN_TYPE, f"Set `type` to one of {', '.join(TYPES)}.")
    return kind
