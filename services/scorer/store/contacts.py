"""Contacts: one row each, read and written in batches by the transaction that holds them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import attrgetter
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.instants import from_micros
from services.scorer.domain.state import ContactState, decode_state, encode_state
from services.scorer.errors import ContactsRaced
from services.scorer.store.held import Held, HeldRow
from services.scorer.store.tables import alias, contact
from shared.events.touch import Alias

_LONGEST_ALIAS = 512  # characters that an index entry surely takes

# Hot statements are written out: they run once a batch, on thousands of rows.
_LOCK = """
    SELECT id, state, agreement, merged_into FROM scorer.contact WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
"""
_UPDATE = """
    UPDATE scorer.contact AS old
    SET account_id = new.account_id, state = new.state, cools_at = new.cools_at, agreement = new.agreement,
        updated_at = now()
    FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::timestamptz[], $5::integer[])
        AS new (id, account_id, state, cools_at, agreement)
    WHERE old.id = new.id
"""
_INSERT = """
    INSERT INTO scorer.contact (id, account_id, state, cools_at, agreement)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::timestamptz[], $5::integer[])
    ON CONFLICT (id) DO NOTHING
    RETURNING id
"""
_CREATE = """
    INSERT INTO scorer.contact (id, state, agreement) SELECT id, $2, 0 FROM unnest($1::uuid[]) AS id
    WHERE NOT EXISTS (SELECT FROM scorer.erased WHERE erased.contact_id = id)
    ON CONFLICT (id) DO NOTHING
"""
_REMOVE_ALIASES = """
    DELETE FROM scorer.alias USING unnest($1::text[], $2::text[]) AS gone (kind, value)
    WHERE alias.kind = gone.kind AND alias.value = gone.value AND alias.contact_id = $3
"""
_ADD_ALIASES = """
    INSERT INTO scorer.alias (kind, value, contact_id)
    SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[])
    ON CONFLICT DO NOTHING
"""


# Ids, accounts, states, when time alone changes something, versions that they were last decided under.
_Columns = tuple[list[UUID], list[UUID | None], list[bytes], list[datetime | None], list[int]]


@dataclass(slots=True)
class Lane:
    """A range of ids that a sweep goes through: those above `after`, up to `until`."""

    after: UUID
    until: UUID


def lanes(count: int) -> list[Lane]:
    """Return as many lanes that hold all ids but the very first, which no hash is."""
    bounds = [UUID(int=((1 << 128) - 1) * number // count) for number in range(count + 1)]
    return [Lane(after, until) for after, until in pairwise(bounds)]


class Written:
    """States as they are to be written, which are not needed any more once they are in here.

    Contacts come in the order of their ids: two transactions that make the same ones never wait for each other.
    """

    def __init__(self) -> None:
        self.known: _Columns = ([], [], [], [], [])
        self.new: _Columns = ([], [], [], [], [])  # of contacts that had no row

    def add(self, contact_id: UUID, state: ContactState, *, is_new: bool = False) -> None:
        """Add a state."""
        ids, accounts, states, dues, versions = self.new if is_new else self.known
        due_at = state.due_at()
        ids.append(contact_id)
        accounts.append(state.account_id())
        states.append(encode_state(state))
        dues.append(None if due_at is None else from_micros(due_at))
        versions.append(state.agreement)


def all_of(states: Mapping[UUID, ContactState]) -> Written:
    """Return the states of contacts that have rows, to be written."""
    written = Written()
    for contact_id in in_order(states):
        written.add(contact_id, states[contact_id])
    return written


class ContactStore:
    """The rows of `scorer.contact` and `scorer.alias`."""

    async def lock(self, connection: AsyncConnection, ids: Collection[UUID]) -> Held:
        """Return those that exist, held until the transaction ends.

        Rows are locked in the order of their ids, so two transactions never wait for each other.
        """
        rows = await connection.exec_driver_sql(_LOCK, (in_order(ids),))
        return Held(map(HeldRow._make, rows))

    async def lock_outdated(self, connection: AsyncConnection, version: int, *, limit: int) -> dict[UUID, ContactState]:
        """Return contacts last decided under another version, leaving out those that somebody else holds."""
        for outdated in (contact.c.agreement < version, contact.c.agreement > version):  # each reads on in the index
            rows = await connection.execute(
                select(contact.c.id, contact.c.state)
                .where(outdated)
                .order_by(contact.c.agreement)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            if found := {row.id: decode_state(row.state) for row in rows}:
                return found
        return {}

    async def lock_range(
        self, connection: AsyncConnection, *, after: UUID | None, until: UUID, limit: int
    ) -> dict[UUID, ContactState]:
        """Return the next contacts of a range of ids, in their order, waiting for those that somebody else holds."""
        statement = select(contact.c.id, contact.c.state).where(contact.c.id <= until)
        if after is not None:
            statement = statement.where(contact.c.id > after)
        rows = await connection.execute(statement.order_by(contact.c.id).limit(limit).with_for_update())
        return {row.id: decode_state(row.state) for row in rows}

    async def lock_outdated_in(
        self, connection: AsyncConnection, version: int, lane: Lane, *, limit: int
    ) -> dict[UUID, ContactState]:
        """Like `lock_outdated`, in a lane and in the order of the ids: a sweep passes each row once.

        The index on versions keeps what was swept until it is vacuumed; a long sweep would read that again and again.
        """
        rows = await connection.execute(
            select(contact.c.id, contact.c.state)
            .where(contact.c.id > lane.after, contact.c.id <= lane.until, contact.c.agreement != version)
            .order_by(contact.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return {row.id: decode_state(row.state) for row in rows}

    async def lock_cooled(self, connection: AsyncConnection, now: datetime, *, limit: int) -> dict[UUID, ContactState]:
        """Return contacts whose time to be armed has come, leaving out those that somebody else holds."""
        rows = await connection.execute(
            select(contact.c.id, contact.c.state)
            .where(contact.c.cools_at <= now)
            .order_by(contact.c.cools_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return {row.id: decode_state(row.state) for row in rows}

    async def save(self, connection: AsyncConnection, written: Written) -> None:
        """Write states back. Raises ContactsRaced."""
        if written.known[0]:
            await connection.exec_driver_sql(_UPDATE, written.known)
        if written.new[0]:
            added = (await connection.exec_driver_sql(_INSERT, written.new)).all()
            if len(added) < len(written.new[0]):
                raise ContactsRaced

    async def add_aliases(self, connection: AsyncConnection, added: Iterable[tuple[Alias, UUID]]) -> None:
        """Let the aliases be found; what cannot stand in an index is kept in the state only."""
        rows = sorted(
            {
                (named.kind, named.value, contact_id)
                for named, contact_id in added
                if len(named.value) <= _LONGEST_ALIAS and "\0" not in named.value
            }
        )
        if rows:
            kinds, values, ids = zip(*rows, strict=True)
            await connection.exec_driver_sql(_ADD_ALIASES, (kinds, values, ids))

    async def create(self, connection: AsyncConnection, ids: Collection[UUID]) -> None:
        """Make contacts that nothing is known of; those that exist or were erased stay what they are."""
        await connection.exec_driver_sql(_CREATE, (in_order(ids), encode_state(ContactState())))

    async def merge(self, connection: AsyncConnection, contact_id: UUID, *, into: UUID | None) -> None:
        """Note in which contact this one lives on, None for in itself."""
        await connection.execute(update(contact).where(contact.c.id == contact_id).values(merged_into=into))

    async def remove_aliases(self, connection: AsyncConnection, removed: Collection[Alias], contact_id: UUID) -> None:
        """Let the contact not be found by the aliases any more."""
        kept = [named for named in removed if "\0" not in named.value]
        if kept:
            columns = ([named.kind for named in kept], [named.value for named in kept], contact_id)
            await connection.exec_driver_sql(_REMOVE_ALIASES, columns)

    async def find(self, connection: AsyncConnection, contact_id: UUID) -> tuple[UUID, ContactState] | None:
        """Return the contact, or the one that it lives on in."""
        state = await self.read(connection, contact_id)
        while state is not None and state.merged_into is not None:
            contact_id = state.merged_into
            state = await self.read(connection, contact_id)
        return None if state is None else (contact_id, state)

    async def read(self, connection: AsyncConnection, contact_id: UUID) -> ContactState | None:
        """Return the state of one contact."""
        state = await connection.scalar(select(contact.c.state).where(contact.c.id == contact_id))
        return decode_state(state) if state is not None else None

    async def page(
        self, connection: AsyncConnection, *, after: UUID | None, limit: int, email: str | None = None
    ) -> list[tuple[UUID, ContactState]]:
        """Return contacts in the order of their ids, those with the address if one is given; no tombstones."""
        statement = select(contact.c.id, contact.c.state).where(contact.c.merged_into.is_(None))
        statement = statement.order_by(contact.c.id).limit(limit)
        if after is not None:
            statement = statement.where(contact.c.id > after)
        if email is not None:
            named = select(alias.c.contact_id).where(alias.c.kind == "email", alias.c.value == email)
            statement = statement.where(contact.c.id.in_(named))
        return [(row.id, decode_state(row.state)) for row in await connection.execute(statement)]


def in_order(ids: Iterable[UUID]) -> list[UUID]:
    """Return ids in the order that PostgreSQL gives them; comparing the numbers is several times faster."""
    return sorted(ids, key=attrgetter("int"))
