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


class _Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch says for all its items."""

    context: Context = NO_CONTEXT
    raw_context: bytes = b""
    sent_at: Any = None
    batched: bool = False

    def frame(self) -> tuple[bytes, bytes]:
        """Return what makes one of the items a batch of its own."""
        if not self.batched:
            return b"", b""
        after = b"]"
        if self.sent_at is not None:  # what is no text is no time, whatever else it is
            after += b',"sentAt":' + (msgspec.json.encode(self.sent_at) if isinstance(self.sent_at, str) else b"0")
        if self.raw_context:
            after += b',"context":' + self.raw_context
        return b'{"batch":[', after + b"}"


_ALONE = _Shared()

_keys = msgspec.json.Decoder(dict[str, msgspec.Raw])
_batches = msgspec.json.Decoder(_Batch)
_contexts = msgspec.json.Decoder(Context | None)
_items = msgspec.json.Decoder(Fields)


def read_batch(body: bytes, origin: Origin, limits: Limits) -> list[Event | Rejection]:
    """Return what each item of a batch is. Raises Refused when it cannot be told apart into items."""
    batch = decode(_batches, body)
    if not batch.batch:
        raise Refused(Reason.EMPTY_BATCH, "Send at least one event in `batch`.")
    shared = _shared(batch)
    return [_read(bytes(raw), None, origin, limits, item=item, shared=shared) for item, raw in enumerate(batch.batch)]


def read_call(body: bytes, kind: TouchType | None, origin: Origin, limits: Limits) -> Event | Rejection:
    """Return what a single call is; its own `type` says so where the path did not."""
    return _read(body, kind, origin, limits, item=0, shared=_ALONE)


def top_level_keys(body: bytes) -> set[str]:
    """Return the keys of the object. Raises Refused."""
    keys: dict[str, msgspec.Raw] = decode(_keys, body)
    return set(keys)


def _shared(batch: _Batch) -> _Shared:
    raw = bytes(batch.context)
    context = NO_CONTEXT
    if raw:
        check(raw)
        context = decode(_contexts, raw) or NO_CONTEXT
    return _Shared(context=context, raw_context=raw, sent_at=batch.sentAt, batched=True)


def _read(
    raw: bytes,
    kind: TouchType | None,
    origin: Origin,
    limits: Limits,
    *,
    item: int,
    shared: _Shared,
) -> Event | Rejection:
    try:
        check_size(len(raw) + len(shared.raw_context), limits.max_event_bytes)
        check(raw)
        fields = decode(_items, raw)
        return event_of(
            fields,
            kind or _type_of(fields),
            origin,
            context=shared.context,
            sent_at=shared.sent_at,
            message_id=scalar_text(fields.messageId).strip() or origin.unnamed(item),
            limits=limits,
        )
    except Refused as refused:
        return Rejection(refused.reason, refused.message, raw, item, shared.frame())


def _type_of(fields: Fields) -> TouchType:
    kind = TYPES.get(fields.type.strip().lower()) if isinstance(fields.type, str) else None
    if kind is None:
        raise Refused(Reason.UNKNOWN_TYPE, f"Set `type` to one of {', '.join(TYPES)}.")
    return kind
