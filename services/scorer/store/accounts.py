"""Accounts: who may count for each, which are to be looked at, and what was decided.

Who writes about contacts only adds to what is due; whoever decides takes it away while it holds the account. Locks are
taken accounts first, then contacts; nobody who holds a contact asks for an account.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.account import AccountState
from services.scorer.domain.instants import from_micros
from services.scorer.domain.state import ContactState, decode_state
from services.scorer.store import tables

LONGEST_DOMAIN = 512  # characters; a domain has 253 at most

# Hot statements are written out.
_MARK = "INSERT INTO scorer.account_due (account_id, at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])"
_JOIN = """
    INSERT INTO scorer.account_contact (contact_id, account_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])
    ON CONFLICT (contact_id) DO UPDATE SET account_id = excluded.account_id
"""
_LEAVE = "DELETE FROM scorer.account_contact WHERE contact_id = ANY($1::uuid[]) RETURNING account_id"
_DUE = "SELECT account_id FROM scorer.account_due GROUP BY account_id ORDER BY min(ordinal) LIMIT $1"
_TAKE = "DELETE FROM scorer.account_due WHERE account_id = ANY($1::uuid[]) RETURNING account_id, at"
_CREATE = """
    INSERT INTO scorer.account (id, state) SELECT id, $2 FROM unnest($1::uuid[]) AS id ON CONFLICT (id) DO NOTHING
"""
_LOCK = "SELECT id, state FROM scorer.account WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED"
_PEOPLE = """
    SELECT counted.account_id, contact.id, contact.state
    FROM scorer.account_contact AS counted JOIN scorer.contact ON contact.id = counted.contact_id
    WHERE counted.account_id = ANY($1::uuid[])
"""
_SAVE = """
    UPDATE scorer.account AS old
    SET domain = new.domain, state = new.state, rank = new.rank, cools_at = new.cools_at
    FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::float8[], $5::timestamptz[])
        AS new (id, domain, state, rank, cools_at)
    WHERE old.id = new.id
"""
_SAVE_COOLED = """
    UPDATE scorer.account AS old SET state = new.state, cools_at = NULL
    FROM unnest($1::uuid[], $2::bytea[]) AS new (id, state) WHERE old.id = new.id
"""
_REMOVE_EMPTY = """
    DELETE FROM scorer.account
    WHERE id = ANY($1::uuid[]) AND NOT EXISTS (SELECT FROM scorer.account_contact WHERE account_id = account.id)
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AccountState).decode

People = list[tuple[UUID, ContactState]]


@dataclass(frozen=True, slots=True)
class Looked:
    """An account after somebody looked at it, as it is saved."""

    state: AccountState
    domain: str
    rank: float  # greater means more engaged, at any instant


class AccountStore:
    """The rows of `scorer.account`, `scorer.account_contact` and `scorer.account_due`."""

    async def mark(self, connection: AsyncConnection, accounts: Mapping[UUID, datetime]) -> None:
        """Have the accounts looked at, as of the instants. Waits for nobody."""
        if accounts:
            await connection.exec_driver_sql(_MARK, (list(accounts), list(accounts.values())))

    async def join(self, connection: AsyncConnection, joined: Mapping[UUID, UUID]) -> None:
        """Let contacts count for accounts, given by contact. The caller holds the contacts."""
        if joined:
            contacts = sorted(joined, key=attrgetter("int"))
            await connection.exec_driver_sql(_JOIN, (contacts, [joined[contact_id] for contact_id in contacts]))

    async def leave(self, connection: AsyncConnection, contacts: Collection[UUID]) -> set[UUID]:
        """Let contacts count for no account; return those for which they did. The caller holds the contacts."""
        if not contacts:
            return set()
        return {row.account_id for row in await connection.exec_driver_sql(_LEAVE, (list(contacts),))}

    async def take_due(self, connection: AsyncConnection, *, limit: int) -> dict[UUID, tuple[AccountState, datetime]]:
        """Return accounts to look at and the instants to decide them as of, held until the transaction ends.

        All marks on them are taken away. Accounts that somebody else holds are left to that one.
        """
        due = [row.account_id for row in await connection.exec_driver_sql(_DUE, (limit,))]
        states = await self._lock_or_create(connection, due) if due else {}
        instants: dict[UUID, datetime] = {}
        if states:
            for row in await connection.exec_driver_sql(_TAKE, (list(states),)):
                instants[row.account_id] = max(row.at, instants.get(row.account_id, row.at))
        # Another process may have looked at one since it was found to be due.
        return {account_id: (states[account_id], at) for account_id, at in instants.items()}

    async def _lock_or_create(self, connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, AccountState]:
        ordered = sorted(ids, key=attrgetter("int"))
        await connection.exec_driver_sql(_CREATE, (ordered, _encode(AccountState())))
        rows = await connection.exec_driver_sql(_LOCK, (ordered,))
        return {row.id: _decode(row.state) for row in rows}

    async def lock_cooled(self, connection: AsyncConnection, now: datetime, *, limit: int) -> dict[UUID, AccountState]:
        """Return accounts whose time to be armed has come, leaving out those that somebody else holds."""
        account = tables.account.c
        rows = await connection.execute(
            select(account.id, account.state)
            .where(account.cools_at <= now)
            .order_by(account.cools_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return {row.id: _decode(row.state) for row in rows}

    async def save_cooled(self, connection: AsyncConnection, states: Mapping[UUID, AccountState]) -> None:
        """Write back accounts that are armed again, and remove those for which nobody counts any more."""
        if states:
            written = (list(states), [_encode(state) for state in states.values()])
            await connection.exec_driver_sql(_SAVE_COOLED, written)
            await connection.exec_driver_sql(_REMOVE_EMPTY, (list(states),))

    async def people(self, connection: AsyncConnection, accounts: Collection[UUID]) -> dict[UUID, People]:
        """Return who may count for each account."""
        found: dict[UUID, People] = {account_id: [] for account_id in accounts}
        for row in await connection.exec_driver_sql(_PEOPLE, (list(accounts),)):
            state = decode_state(row.state)
            if state.counted_in == row.account_id:
                found[row.account_id].append((row.id, state))
        return found

    async def save(self, connection: AsyncConnection, looked: Mapping[UUID, Looked]) -> None:
        """Write accounts back."""
        if not looked:
            return
        armings = [each.state.arming for each in looked.values()]
        await connection.exec_driver_sql(
            _SAVE,
            (
                list(looked),
                [each.domain.replace("\0", "")[:LONGEST_DOMAIN] for each in looked.values()],
                [_encode(each.state) for each in looked.values()],
                [each.rank for each in looked.values()],
                [None if arming.rearms_at is None else from_micros(arming.rearms_at) for arming in armings],
            ),
        )

    async def remove(self, connection: AsyncConnection, accounts: Collection[UUID]) -> None:
        """Remove accounts of which nothing has to be remembered."""
        if accounts:
            await connection.execute(delete(tables.account).where(tables.account.c.id.in_(accounts)))

    async def read(self, connection: AsyncConnection, accounts: Sequence[UUID]) -> dict[UUID, AccountState]:
        """Return the states of those that exist."""
        rows = await connection.execute(
            select(tables.account.c.id, tables.account.c.state).where(tables.account.c.id.in_(accounts))
        )
        return {row.id: _decode(row.state) for row in rows}

    async def page(
        self, connection: AsyncConnection, *, before: tuple[float, UUID] | None, limit: int
    ) -> list[tuple[UUID, float]]:
        """Return accounts and their ranks, the most engaged first."""
        account = tables.account.c
        statement = select(account.id, account.rank).where(account.rank > float("-inf"))
        statement = statement.order_by(account.rank.desc(), account.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(tuple_(account.rank, account.id) < before)
        return [(row.id, row.rank) for row in await connection.execute(statement)]
