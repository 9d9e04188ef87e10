"""Erasures: removing everything about contacts, and what remains so that they stay removed."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store import tables
from services.scorer.store.handoffs import HandoffStore
from shared.events.topics import TopicName

_CHUNK = 5000  # touches in memory at once

_ABOUT_CONTACTS = (TopicName.HANDOFFS, TopicName.NURTURE)

_AMONG = "SELECT contact_id FROM scorer.erased WHERE contact_id = ANY($1::uuid[])"
_REMOVE_TOUCHES = """
    DELETE FROM scorer.touch USING (
        SELECT contact_id, id FROM scorer.touch WHERE contact_id = ANY($1::uuid[]) LIMIT $2
    ) AS chunk
    WHERE touch.contact_id = chunk.contact_id AND touch.id = chunk.id
    RETURNING touch.occurred_at, touch.payload
"""


class _Origin(msgspec.Struct):
    source: str


_decode_origin = msgspec.json.Decoder(_Origin).decode


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: the contact and all that were merged into it."""

    id: UUID
    contact_ids: tuple[UUID, ...]
    at: datetime


class ErasureStore:
    """The rows of `scorer.erased`, and the removal of all others about a contact."""

    def __init__(self, handoffs: HandoffStore) -> None:
        self._handoffs = handoffs

    async def among(self, connection: AsyncConnection, ids: Collection[UUID]) -> set[UUID]:
        """Return those of the contacts that were erased."""
        return {row.contact_id for row in await connection.exec_driver_sql(_AMONG, (list(ids),))}

    async def find(self, connection: AsyncConnection, contact_id: UUID) -> Erasure | None:
        """Return the erasure of the contact, None when it was not erased."""
        erased = tables.erased.c
        mine = select(erased.erasure_id).where(erased.contact_id == contact_id)
        statement = select(tables.erased).where(erased.erasure_id.in_(mine)).order_by(erased.contact_id)
        rows = (await connection.execute(statement)).all()
        if not rows:
            return None
        return Erasure(rows[0].erasure_id, tuple(row.contact_id for row in rows), rows[0].at)

    async def remember(self, connection: AsyncConnection, erasure: Erasure) -> None:
        """Keep the ids, and nothing else."""
        await connection.execute(
            insert(tables.erased).on_conflict_do_nothing(index_elements=["contact_id"]),
            [
                {"contact_id": contact_id, "erasure_id": erasure.id, "at": erasure.at}
                for contact_id in erasure.contact_ids
            ],
        )

    async def remove(self, connection: AsyncConnection, ids: Collection[UUID]) -> int:
        """Remove everything about the contacts, whose rows are held; return how many touches that were."""
        counted = await self.remove_touches(connection, ids)
        await self._handoffs.remove(connection, ids)
        await connection.execute(delete(tables.alias).where(tables.alias.c.contact_id.in_(ids)))
        await connection.execute(delete(tables.contact).where(tables.contact.c.id.in_(ids)))
        merge = tables.merge.c
        await connection.execute(delete(tables.merge).where(or_(merge.survivor.in_(ids), merge.other.in_(ids))))
        keys = [str(contact_id).encode() for contact_id in ids]
        outbox = tables.outbox.c
        # What is in the log already is dropped by the router.
        await connection.execute(delete(tables.outbox).where(outbox.topic.in_(_ABOUT_CONTACTS), outbox.key.in_(keys)))
        return counted

    async def remove_touches(self, connection: AsyncConnection, ids: Collection[UUID]) -> int:
        """Remove the touches of the contacts, and count them by day and source."""
        counted: Counter[tuple[date, str]] = Counter()
        while rows := (await connection.exec_driver_sql(_REMOVE_TOUCHES, (list(ids), _CHUNK))).all():
            counted.update((row.occurred_at.astimezone(UTC).date(), _decode_origin(row.payload).source) for row in rows)
        await self._count(connection, counted)
        return counted.total()

    async def _count(self, connection: AsyncConnection, counted: Mapping[tuple[date, str], int]) -> None:
        statement = insert(tables.erased_touches)
        statement = statement.on_conflict_do_update(
            index_elements=["day", "source"],
            set_={"touches": tables.erased_touches.c.touches + statement.excluded.touches},
        )
        if counted:
            await connection.execute(
                statement,
                [
                    {"day": day, "source": source, "touches": touches}
                    for (day, source), touches in sorted(counted.items())
                ],
            )
