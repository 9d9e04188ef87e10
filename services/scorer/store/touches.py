"""Touches: the history of every contact, and the check that none counts twice."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from asyncpg import UniqueViolationError
from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.accepting import Published
from services.scorer.domain.verdict import Judged
from services.scorer.errors import TouchesRepeated
from services.scorer.store.contacts import in_order
from services.scorer.store.tables import touch
from services.scorer.store.touch_copy import Kept, copy_touches
from shared.events.touch import decode_touch

_COPY_FROM = 500  # touches; fewer are quicker as parameters
_WARY_FOR = 10  # large batches without a repeat, after one that had some
_AT_ONCE = 500  # touches in memory, and between two turns of the event loop

# A look into the index for each, whatever the planner thinks of the number: a join might read all touches.
_REPEATED = """
    SELECT given.contact_id, given.id FROM unnest($1::uuid[], $2::uuid[]) AS given (contact_id, id)
    CROSS JOIN LATERAL (
        SELECT FROM scorer.touch WHERE touch.contact_id = given.contact_id AND touch.id = given.id OFFSET 0
    ) AS kept
"""
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
_OF_CONTACTS = """
    SELECT contact_id, payload, suspect, trusted, trusted_by, trusted_at FROM scorer.touch
    WHERE contact_id = ANY($1::uuid[])
"""
# A multirange is searched by halves: each contact's rows are gone through once, however many instants are asked for.
_NEAR = """
    SELECT kept.contact_id, payload, suspect, trusted, trusted_by, trusted_at
    FROM (SELECT id, ranges::tstzmultirange FROM unnest($1::uuid[], $2::text[]) AS given (id, ranges)) AS asked
    JOIN scorer.touch AS kept ON kept.contact_id = asked.id AND kept.occurred_at <@ asked.ranges
"""
_SUSPECT = """
    UPDATE scorer.touch AS kept SET suspect = nullif(new.suspect, '')
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS new (contact_id, id, suspect)
    WHERE kept.contact_id = new.contact_id AND kept.id = new.id
"""
# In the order of the key, as `_ADD` adds them: who moves and who adds the same touches never wait for each other.
_COPY = """
    INSERT INTO scorer.touch
        (contact_id, id, occurred_at, received_at, payload, suspect, trusted, trusted_by, trusted_at)
    SELECT $2, id, occurred_at, received_at, payload, suspect, trusted, trusted_by, trusted_at
    FROM scorer.touch WHERE contact_id = $1 ORDER BY id
    ON CONFLICT DO NOTHING
"""
_KEEP_DECIDED = """
    UPDATE scorer.touch AS kept SET trusted = gone.trusted, trusted_by = gone.trusted_by, trusted_at = gone.trusted_at
    FROM scorer.touch AS gone
    WHERE gone.contact_id = $1 AND gone.trusted IS NOT NULL
        AND kept.contact_id = $2 AND kept.id = gone.id AND kept.trusted IS NULL
"""
_DROP = "DELETE FROM scorer.touch WHERE contact_id = $1"
_GIVE_BACK = "UPDATE scorer.touch SET contact_id = $2 WHERE contact_id = $1 AND id = ANY($3::uuid[])"
_UNTIL = """
    SELECT asked.number, payload, suspect, trusted, trusted_by, trusted_at
    FROM unnest($1::uuid[], $2::timestamptz[]) WITH ORDINALITY AS asked (contact_id, until, number)
    CROSS JOIN LATERAL (
        SELECT payload, suspect, trusted, trusted_by, trusted_at, occurred_at, id FROM scorer.touch
        WHERE touch.contact_id = asked.contact_id AND touch.received_at <= asked.until
        ORDER BY occurred_at DESC, id DESC LIMIT $3
    ) AS kept
    ORDER BY asked.number, kept.occurred_at DESC, kept.id DESC
"""

_number = attrgetter("touch.id.int")  # orders ids as PostgreSQL does
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

# The numbers of a contact and a touch of its history: hashed several times as fast as their UUIDs.
TouchKey = tuple[int, int]


class TouchStore:
    """The rows of `scorer.touch`."""

    def __init__(self) -> None:
        # Repeats are rare, and come together: looking for them before each large batch is a sixth of its cost. So it is
        # done only when some have come lately, by as many more large batches.
        self._wary = 0

    async def add(self, connection: AsyncConnection, touches: Mapping[UUID, Sequence[Published]]) -> set[TouchKey]:
        """Keep the touches, each given once, by the contact in whose history they belong.

        Return the keys of those that were there. The caller holds the contacts that exist. Raises TouchesRepeated when
        some of a large batch were there and nobody looked; whoever tries again will.
        """
        # Rows in the order of the key: two transactions with a touch in common wait, and never for each other.
        ordered = [(owner, _in_order(touches[owner])) for owner in in_order(touches)]
        if sum(len(published) for _, published in ordered) < _COPY_FROM:
            each_touch = [each for _, published in ordered for each in published]
            occurred = [each.touch.occurred_at for each in each_touch]
            received = [each.touch.received_at for each in each_touch]
            payloads = [each.payload for each in each_touch]
            return _keys(await connection.exec_driver_sql(_ADD, (*_key_columns(ordered), occurred, received, payloads)))
        repeated: set[TouchKey] = set()
        if self._wary:
            repeated = _keys(await connection.exec_driver_sql(_REPEATED, _key_columns(ordered)))
            self._wary = _WARY_FOR if repeated else self._wary - 1
        if repeated:
            ordered = [
                (owner, [each for each in published if (owner.int, each.touch.id.int) not in repeated])
                for owner, published in ordered
            ]
        try:
            await copy_touches(connection, ordered)
        except UniqueViolationError as error:
            self._wary = _WARY_FOR
            raise TouchesRepeated from error
        return repeated

    async def of_contacts(self, connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, list[Judged]]:
        """Return all touches of the contacts, in any order."""
        found: dict[UUID, list[Judged]] = {contact_id: [] for contact_id in ids}
        if ids:
            for row in await connection.exec_driver_sql(_OF_CONTACTS, (list(ids),)):
                found[row.contact_id].append(_judged(row))
        return found

    async def near(
        self, connection: AsyncConnection, instants: Mapping[UUID, Collection[datetime]], *, reach: timedelta
    ) -> dict[UUID, list[Judged]]:
        """Return of each contact the touches that occurred no farther than `reach` from one of the instants."""
        found: dict[UUID, list[Judged]] = {contact_id: [] for contact_id in instants}
        ranges = ["{" + ",".join(_range(at, reach) for at in each) + "}" for each in instants.values()]
        for row in await connection.exec_driver_sql(_NEAR, (list(instants), ranges)):
            found[row.contact_id].append(_judged(row))
        return found

    async def suspect(self, connection: AsyncConnection, reasons: Mapping[tuple[UUID, UUID], str]) -> None:
        """Keep why the touches beside a touch make it suspect, by contact and touch; "" when they do not."""
        if reasons:
            contacts, ids = zip(*reasons, strict=True)
            await connection.exec_driver_sql(_SUSPECT, (contacts, ids, list(reasons.values())))

    async def overrule(
        self, connection: AsyncConnection, contact_id: UUID, touch_id: UUID, *, trusted: bool, by: str, at: datetime
    ) -> bool:
        """Keep what a person decided about a touch and tell whether that is new. The same again stays as said first."""
        is_new = touch.c.trusted.is_distinct_from(trusted)
        written = await connection.execute(
            update(touch)
            .where(touch.c.contact_id == contact_id, touch.c.id == touch_id, is_new)
            .values(trusted=trusted, trusted_by=by, trusted_at=at)
        )
        return written.rowcount > 0

    async def move(self, connection: AsyncConnection, contact_id: UUID, *, into: UUID) -> bool:
        """Make all touches of a contact those of another; one that both have is kept once. Tell whether there were any.

        The caller holds both contacts.
        """
        await connection.exec_driver_sql(_KEEP_DECIDED, (contact_id, into))
        await connection.exec_driver_sql(_COPY, (contact_id, into))
        return (await connection.exec_driver_sql(_DROP, (contact_id,))).rowcount > 0

    async def give_back(
        self, connection: AsyncConnection, contact_id: UUID, touches: Collection[UUID], *, to: UUID
    ) -> None:
        """Make some touches of a contact those of another, that has none. The caller holds both contacts."""
        await connection.exec_driver_sql(_GIVE_BACK, (contact_id, to, list(touches)))

    async def received_until(
        self, connection: AsyncConnection, asked: Sequence[tuple[UUID, datetime]], *, limit: int
    ) -> list[list[Judged]]:
        """Return for each contact and instant the newest touches among those received until then, newest first."""
        found: list[list[Judged]] = [[] for _ in asked]
        if asked:
            contacts, instants = zip(*asked, strict=True)
            for row in await connection.exec_driver_sql(_UNTIL, (contacts, instants, limit)):
                found[row.number - 1].append(_judged(row))
        return found

    async def after(
        self, connection: AsyncConnection, contact_id: UUID, *, after: UUID | None, limit: int
    ) -> list[Judged]:
        """Return touches of a contact in the order of their ids, which is that of the index."""
        statement = (
            select(touch.c.payload, touch.c.suspect, touch.c.trusted, touch.c.trusted_by, touch.c.trusted_at)
            .where(touch.c.contact_id == contact_id)
            .order_by(touch.c.id)
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(touch.c.id > after)
        return [_judged(row) for row in await connection.execute(statement)]

    async def received_after(self, connection: AsyncConnection, contact_id: UUID, instant: datetime) -> bool:
        """Tell whether any touch of the contact was received after the instant."""
        later = select(touch.c.id).where(touch.c.contact_id == contact_id, touch.c.received_at > instant)
        return bool(await connection.scalar(select(later.exists())))

    async def in_order(
        self, connection: AsyncConnection, contact_id: UUID, *, until: datetime
    ) -> AsyncIterator[Sequence[Judged]]:
        """Yield the touches received until the instant in the order of receipt, some hundreds at a time."""
        statement = (
            select(touch.c.payload, touch.c.suspect, touch.c.trusted, touch.c.trusted_by, touch.c.trusted_at)
            .where(touch.c.contact_id == contact_id, touch.c.received_at <= until)
            .order_by(touch.c.received_at, touch.c.id)
            .execution_options(yield_per=_AT_ONCE)
        )
        async with connection.stream(statement) as rows:
            async for some in rows.partitions():
                yield [_judged(row) for row in some]

    async def page(
        self, connection: AsyncConnection, contact_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Judged]:
        """Return touches of a contact, newest first."""
        statement = (
            select(touch.c.payload, touch.c.suspect, touch.c.trusted, touch.c.trusted_by, touch.c.trusted_at)
            .where(touch.c.contact_id == contact_id)
            .order_by(touch.c.occurred_at.desc(), touch.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(tuple_(touch.c.occurred_at, touch.c.id) < before)
        return [_judged(row) for row in await connection.execute(statement)]


def _in_order(published: Sequence[Published]) -> Sequence[Published]:
    return published if len(published) == 1 else sorted(published, key=_number)


def _key_columns(ordered: Iterable[Kept]) -> tuple[list[UUID], list[UUID]]:
    keys = [(owner, each.touch.id) for owner, published in ordered for each in published]
    return [owner for owner, _ in keys], [touch_id for _, touch_id in keys]


def _keys(rows: Iterable[Any]) -> set[TouchKey]:
    return {(row.contact_id.int, row.id.int) for row in rows}


def _judged(row: Any) -> Judged:
    return Judged(decode_touch(row.payload), row.suspect or "", row.trusted, row.trusted_by, row.trusted_at)


def _range(at: datetime, reach: timedelta) -> str:
    at = at.astimezone(UTC)
    first = at - reach if at - _EARLIEST > reach else _EARLIEST
    last = at + reach if _LATEST - at > reach else _LATEST
    return f"[{first.isoformat()},{last.isoformat()}]"
