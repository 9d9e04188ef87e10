"""Erasures: who was erased, which endpoints had the lead, and what of it is stripped."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.outcome import NEVER_ARRIVED
from services.router.store import tables

_delivery = tables.delivery.c
_attempt = tables.attempt.c


@dataclass(frozen=True, slots=True)
class Holder:
    """An endpoint that had the lead, or may have had it."""

    endpoint: str
    handoffs: tuple[UUID, ...]
    sending_until: datetime | None  # an attempt is still under way, until then at the latest


def joined(holders: Iterable[Holder]) -> list[Holder]:
    """Return one of each endpoint."""
    found: dict[str, Holder] = {}
    for holder in holders:
        known = found.get(holder.endpoint, Holder(holder.endpoint, (), None))
        until = max((at for at in (known.sending_until, holder.sending_until) if at is not None), default=None)
        found[holder.endpoint] = Holder(holder.endpoint, known.handoffs + holder.handoffs, until)
    return list(found.values())


class ErasureStore:
    """SQL about erasures."""

    async def remember(self, connection: AsyncConnection, rows: Iterable[tuple[UUID, UUID, datetime]]) -> None:
        """Keep (contact, erasure, when)."""
        await connection.execute(
            insert(tables.erased).on_conflict_do_nothing(index_elements=["contact_id"]),
            [{"contact_id": contact, "erasure_id": erasure, "at": at} for contact, erasure, at in rows],
        )

    async def among(self, connection: AsyncConnection, contacts: Collection[UUID]) -> set[UUID]:
        """Return those of the contacts that were erased."""
        erased = tables.erased.c.contact_id
        return set(await connection.scalars(select(erased).where(erased.in_(contacts))))

    async def hold(self, connection: AsyncConnection, handoffs: Sequence[UUID]) -> None:
        """Keep deliveries about the handoffs from being claimed, ended or replayed until the transaction ends."""
        await connection.execute(
            select(_delivery.id).where(_delivery.handoff_id.in_(handoffs)).order_by(_delivery.id).with_for_update()
        )

    async def holders(self, connection: AsyncConnection, handoffs: Sequence[UUID]) -> list[Holder]:
        """Return the endpoints to which something about the handoffs was delivered, or may have been."""
        may_have_arrived = exists().where(
            _attempt.delivery_id == _delivery.id, _attempt.outcome.not_in([str(outcome) for outcome in NEVER_ARRIVED])
        )
        rows = await connection.execute(
            select(_delivery.endpoint, _delivery.handoff_id, _delivery.lease_until)
            .where(
                _delivery.handoff_id.in_(handoffs),
                or_(_delivery.state == "sending", _delivery.unsure, may_have_arrived),
            )
            .order_by(_delivery.endpoint, _delivery.created_at, _delivery.id)
        )
        had: dict[str, dict[UUID, None]] = defaultdict(dict)
        until: dict[str, datetime] = {}
        for endpoint, handoff, lease_until in rows:
            had[endpoint][handoff] = None
            if lease_until is not None:
                until[endpoint] = max(lease_until, until.get(endpoint, lease_until))
        return [Holder(endpoint, tuple(ids), until.get(endpoint)) for endpoint, ids in had.items()]

    async def removed_endpoints(self, connection: AsyncConnection) -> list[str]:
        """Return the endpoints that the team has no more."""
        endpoint = tables.endpoint.c
        return list(await connection.scalars(select(endpoint.name).where(endpoint.removed)))

    async def strip(self, connection: AsyncConnection, documents: Sequence[tuple[UUID, bytes]]) -> None:
        """Replace the documents of the handoffs, and empty all else that tells about the person."""
        ids = [handoff for handoff, _ in documents]
        for handoff, document in documents:
            await connection.execute(
                update(tables.handoff)
                .where(tables.handoff.c.id == handoff)
                .values(document=document, waiting_decision=None, traceparent=None, account_id=None)
            )
        event = tables.handoff_event
        await connection.execute(
            update(event).where(event.c.handoff_id.in_(ids)).values(note=None, objection=None, decision=None)
        )
        sent = update(tables.crm_answer).where(tables.crm_answer.c.handoff_id.in_(ids))
        await connection.execute(sent.values(body=b"", message=""))
        mine = _delivery.handoff_id.in_(ids)
        about_them = _attempt.delivery_id.in_(select(_delivery.id).where(mine))
        await connection.execute(update(tables.attempt).where(about_them).values(response="", error=""))
        await connection.execute(update(tables.delivery).where(mine).values(body=b"", traceparent=None))

    async def forget(self, connection: AsyncConnection, contacts: Sequence[UUID]) -> None:
        """Remove what is kept by contact: the wish to be left alone, words of reps for the log, records elsewhere."""
        keys = [str(contact).encode() for contact in contacts]
        await connection.execute(delete(tables.opted_out).where(tables.opted_out.c.contact_id.in_(contacts)))
        known = tables.known_record
        await connection.execute(delete(known).where(known.c.contact_id.in_(contacts)))
        await connection.execute(delete(tables.outbox).where(tables.outbox.c.key.in_(keys)))
