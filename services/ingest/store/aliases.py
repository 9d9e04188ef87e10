"""The aliases of all contacts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, Text, bindparam, select, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.identity import Decision
from services.ingest.domain.known import Holding, Known
from services.ingest.store import tables
from services.ingest.store.erasures import NOBODY, ErasureStore, Met
from services.ingest.store.locks import lock_contacts
from services.ingest.store.merges import Merges, read_histories
from shared.events.touch import Alias
from shared.ids import ContactId
from shared.postgres.lending import lend

LOAD_TIMEOUT = timedelta(seconds=15)

# The aliases asked for, then what the contacts behind them have, one row for each contact.
_LOAD = """
WITH named AS (
    SELECT alias.kind, alias.value, alias.contact_id
    FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
    JOIN ingest.alias USING (kind, value)
)
SELECT kind, value, contact_id, NULL::text AS "user", NULL::text[] AS emails, 0 AS anonymous, NULL::timestamptz AS since
FROM named
UNION ALL
SELECT NULL, NULL, contact_id, held."user", held.emails, held.anonymous, held.since
FROM (SELECT DISTINCT contact_id FROM named) AS contact
CROSS JOIN LATERAL (
    SELECT
        max(value) FILTER (WHERE kind = 'user') AS "user",
        array_agg(value) FILTER (WHERE kind = 'email') AS emails,
        count(*) FILTER (WHERE kind = 'anonymous') AS anonymous,
        min(created_at) AS since
    FROM ingest.alias
    WHERE alias.contact_id = contact.contact_id
) AS held
"""

# Also what tells a contact that has no user id and no address from one that was merged away.
_HELD = text(
    "SELECT contact_id, max(value) FILTER (WHERE kind = 'user') AS \"user\","
    " array_agg(value) FILTER (WHERE kind = 'email') AS emails"
    " FROM ingest.alias WHERE contact_id = ANY(:contacts) GROUP BY contact_id"
).bindparams(bindparam("contacts", type_=ARRAY(UUID(as_uuid=True))))

_NAMED = text(
    "SELECT kind, value, contact_id FROM unnest(:kinds, :names) AS wanted (kind, value) JOIN ingest.alias"
    " USING (kind, value)"
).bindparams(bindparam("kinds", type_=ARRAY(Text)), bindparam("names", type_=ARRAY(Text)))

_LINK = text(
    "INSERT INTO ingest.alias (kind, value, contact_id) SELECT * FROM unnest(:kinds, :names, :contacts)"
    " ON CONFLICT DO NOTHING"
).bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("names", type_=ARRAY(Text)),
    bindparam("contacts", type_=ARRAY(UUID(as_uuid=True))),
)


@dataclass(frozen=True, slots=True)
class Saving:
    """Whether a decision was written down; if not, perhaps because it met somebody who was erased."""

    done: bool
    met: Met

    def __bool__(self) -> bool:
        return self.done


_DONE = Saving(done=True, met=NOBODY)
_AGAIN = Saving(done=False, met=NOBODY)


class Aliases:
    """Reads and links aliases; only a merge, or undoing it, moves one."""

    def __init__(self, engine: AsyncEngine, merges: Merges) -> None:
        self._engine = engine
        self._merges = merges
        self._erasures = ErasureStore()

    async def load(self, wanted: Collection[Alias], *, histories_of: Collection[ContactId] = ()) -> Known:
        """Return the aliases that are there, what the contacts they name have, and the histories asked for."""
        async with lend(self._engine, timeout=LOAD_TIMEOUT) as connection:
            rows = await connection.fetch(_LOAD, [alias.kind for alias in wanted], [alias.value for alias in wanted])
        aliases: list[tuple[Alias, ContactId]] = []
        holdings: dict[ContactId, Holding] = {}
        for kind, value, contact, user, emails, anonymous, since in rows:
            if kind is not None:
                aliases.append((Alias(kind, value), contact))
            elif since is not None:
                holdings[contact] = Holding(user or "", frozenset(emails or ()), anonymous, since)
        histories = {}
        if histories_of:
            async with self._engine.connect() as reader:
                histories = await read_histories(reader, histories_of)
        return Known(aliases, holdings=holdings, histories=histories)

    async def save(
        self,
        decision: Decision,
        *,
        received_at: Sequence[datetime],
        now: datetime,
        unknown: Collection[Alias] = (),
    ) -> Saving:
        """Write the decision down whole, or nothing of it when others have changed what it rests on: decide again.

        `received_at` has an instant for each event, `unknown` the aliases that named nobody when it was made. Where one
        of them, or of the contacts that gain aliases, was erased, nothing is written either: decide again without what
        is about that person.
        Whoever makes a writer fail has committed something, so deciding again comes to an end.
        """
        if not decision.links and not decision.merges and not unknown:
            return _DONE
        async with self._engine.connect() as connection:
            await self._erasures.share(connection)
            if met := await self._erasures.met(connection, unknown, set(decision.links.values())):
                await connection.rollback()
                return Saving(done=False, met=met)
            if not await _still_holds(connection, decision) or not await _link(connection, decision.links):
                await connection.rollback()
                return _AGAIN
            if decision.merges:
                await self._merges.write(connection, decision.merges, received_at=received_at, now=now)
            await connection.commit()
        if decision.merges:
            self._merges.announce()
        return _DONE

    async def of_contact(self, contact_id: ContactId) -> list[dict[str, Any]]:
        """Return the aliases that name the contact, and since when."""
        alias = tables.alias.c
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(alias.kind, alias.value, alias.created_at)
                .where(alias.contact_id == contact_id)
                .order_by(alias.kind, alias.value)
            )
            return [dict(row) for row in rows.mappings()]


async def _still_holds(connection: AsyncConnection, decision: Decision) -> bool:
    """Keep others from changing these contacts until the end of the transaction; tell if nobody has before."""
    if not decision.changing:
        return True
    await lock_contacts(connection, decision.changing)
    rows = (await connection.execute(_HELD, {"contacts": list(decision.changing)})).all()
    held = {contact: (user or "", frozenset(emails or ())) for contact, user, emails in rows}
    if held != {contact: holding.rests_on() for contact, holding in decision.changing.items()}:
        return False
    if not decision.merges:
        return True
    named = await connection.execute(
        _NAMED,
        {
            "kinds": [alias.kind for alias in decision.evidence],
            "names": [alias.value for alias in decision.evidence],
        },
    )
    if {Alias(kind, value): contact for kind, value, contact in named} != decision.evidence:
        return False
    return await read_histories(connection, decision.histories) == decision.histories


async def _link(connection: AsyncConnection, links: Mapping[Alias, ContactId]) -> bool:
    """Insert in one order for all, so that writers wait for each other in a row and not in a circle."""
    if not links:
        return True
    ordered = sorted(links)
    inserted = await connection.execute(
        _LINK,
        {
            "kinds": [alias.kind for alias in ordered],
            "names": [alias.value for alias in ordered],
            "contacts": [links[alias] for alias in ordered],
        },
    )
    return inserted.rowcount == len(ordered)
