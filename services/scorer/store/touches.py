"""Touches: the history of every contact, and the check that none counts twice."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.store.tables import touch
from shared.events.touch import Touch

# Of thousands of rows a handful at most are repeats, so it is these that are returned.
_ADD = """
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::bytea[])
            AS given (contact_id, id, occurred_at, received_at, payload)
    ), added AS (
        INSERT INTO scorer.touch (contact_id, id, occurred_at, received_at, payload) SELECT * FROM given
        ON CONFLICT DO NOTHING
        RETURNING contact_id, id
    )
    SELECT contact_id, id FROM given EXCEPT SELECT contact_id, id FROM added
"""
_OF_CONTACTS = "SELECT contact_id, payload FROM scorer.touch WHERE contact_id = ANY($1::uuid[])"
_UNTIL = """
    SELECT asked.number, kept.payload
    FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS asked (contact_id, until, number)
    CROSS JOIN LATERAL (
        SELECT payload, occurred_at, id FROM scorer.touch
        WHERE touch.contact_id = asked.contact_id AND touch.received_at <= asked.until
        ORDER BY occurred_at DESC, id DESC LIMIT $3
    ) AS kept
    ORDER BY asked.number, kept.occurred_at DESC, kept.id DESC
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Touch).decode


class TouchStore:
    """The rows of `scorer.touch`."""

    async def add(self, connection: AsyncConnection, touches: Sequence[Touch]) -> set[tuple[UUID, UUID]]:
        """Keep the touches, of which each is given once, and return (contact, touch) of those that were there."""
        # Rows in the order of the key: two transactions with a touch in common wait, and never for each other.
        ordered = sorted(touches, key=lambda touch: (touch.contact_id.int, touch.id.int))
        rows = await connection.exec_driver_sql(
            _ADD,
            (
                [touch.contact_id for touch in ordered],
                [touch.id for touch in ordered],
                [touch.occurred_at for touch in ordered],
                [touch.received_at for touch in ordered],
                [_encode(touch) for touch in ordered],
            ),
        )
        return {(row.contact_id, row.id) for row in rows}

    async def of_contacts(self, connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, list[Touch]]:
        """Return all touches of the contacts, in any order."""
        found: dict[UUID, list[Touch]] = {contact_id: [] for contact_id in ids}
        if ids:
            for row in await connection.exec_driver_sql(_OF_CONTACTS, (list(ids),)):
                found[row.contact_id].append(_decode(row.payload))
        return found

    async def received_until(
        self, connection: AsyncConnection, asked: Sequence[tuple[UUID, datetime]], *, limit: int
    ) -> list[list[Touch]]:
        """Return for each contact and instant the newest touches among those received until then, newest first."""
        found: list[list[Touch]] = [[] for _ in asked]
        if asked:
            contacts, instants = zip(*asked, strict=True)
            for row in await connection.exec_driver_sql(_UNTIL, (contacts, instants, limit)):
                found[row.number - 1].append(_decode(row.payload))
        return found

    async def page(
        self, connection: AsyncConnection, contact_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Touch]:
        """Return touches of a contact, newest first."""
        statement = (
            select(touch.c.payload)
            .where(touch.c.contact_id == contact_id)
            .order_by(touch.c.occurred_at.desc(), touch.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(tuple_(touch.c.occurred_at, touch.c.id) < before)
        return [_decode(payload) for payload in await connection.scalars(statement)]
