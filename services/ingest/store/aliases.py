"""The aliases of all contacts."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import ARRAY, DateTime, Integer, Text, bindparam, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Decision, Known
from shared.events.touch import Alias
from shared.ids import ContactId, derived_id
from shared.postgres.lending import lend

LOAD_TIMEOUT = timedelta(seconds=15)

# Contacts are locked by the bucket they fall into: a lock for each would fill the server's lock table.
LOCK_BUCKETS = 256
_LOCK_SPACE = derived_id("ingest", "contact").int & 0x7FFF_FFFF

# The aliases asked for, then what the contacts behind them have of user ids and addresses.
_LOAD = """
WITH named AS (
    SELECT alias.kind, alias.value, alias.contact_id
    FROM unnest($1::text[], $2::text[]) AS wanted (kind, value)
    JOIN ingest.alias USING (kind, value)
)
SELECT kind, value, contact_id FROM named
UNION ALL
SELECT alias.kind, alias.value, alias.contact_id
FROM (SELECT DISTINCT contact_id FROM named) AS contact
JOIN ingest.alias USING (contact_id)
WHERE alias.kind IN ('user', 'email')
"""

_LOCK = text(
    "SELECT pg_advisory_xact_lock(:space, bucket) FROM unnest(:buckets) WITH ORDINALITY AS locked (bucket, place)"
    " ORDER BY place"
).bindparams(bindparam("space", _LOCK_SPACE, Integer), bindparam("buckets", type_=ARRAY(Integer)))

_HELD = text(
    "SELECT kind, value, contact_id FROM ingest.alias WHERE contact_id = ANY(:contacts) AND kind IN ('user', 'email')"
).bindparams(bindparam("contacts", type_=ARRAY(UUID(as_uuid=True))))

_LINK = text(
    "INSERT INTO ingest.alias (kind, value, contact_id) SELECT * FROM unnest(:kinds, :names, :contacts)"
    " ON CONFLICT DO NOTHING"
).bindparams(
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("names", type_=ARRAY(Text)),
    bindparam("contacts", type_=ARRAY(UUID(as_uuid=True))),
)

_MERGE = text(
    "INSERT INTO ingest.pending_merge (survivor, other, evidence, first_seen)"
    " SELECT survivor, other, evidence::jsonb, :now"
    " FROM unnest(:survivors, :others, :evidence) AS found (survivor, other, evidence)"
    " ON CONFLICT DO NOTHING"
).bindparams(
    bindparam("survivors", type_=ARRAY(UUID(as_uuid=True))),
    bindparam("others", type_=ARRAY(UUID(as_uuid=True))),
    bindparam("evidence", type_=ARRAY(Text)),
    bindparam("now", type_=DateTime(timezone=True)),
)


class Aliases:
    """Reads and links aliases; a link is never changed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self, wanted: Collection[Alias]) -> Known:
        """Return the aliases that are there, and the user ids and addresses of the contacts they name."""
        async with lend(self._engine, timeout=LOAD_TIMEOUT) as connection:
            rows = await connection.fetch(_LOAD, [alias.kind for alias in wanted], [alias.value for alias in wanted])
        return Known((Alias(kind, value), contact) for kind, value, contact in rows)

    async def save(self, decision: Decision, now: datetime) -> bool:
        """Write the decision down whole, or nothing of it when others have linked what it rests on: decide again.

        Whoever makes a writer fail has committed links of its own, so deciding again comes to an end.
        """
        if not decision.links and not decision.merges:
            return True
        async with self._engine.connect() as connection:
            if not await _still_holds(connection, decision.gaining) or not await _link(connection, decision.links):
                await connection.rollback()
                return False
            if decision.merges:
                await connection.execute(
                    _MERGE,
                    {
                        "survivors": [survivor for survivor, _ in decision.merges],
                        "others": [other for _, other in decision.merges],
                        "evidence": [_evidence(names) for names in decision.merges.values()],
                        "now": now,
                    },
                )
            await connection.commit()
            return True


def _evidence(names: Names) -> str:
    said = {alias.kind: alias.value for alias in names.aliases} | (
        {"previous": names.previous} if names.previous else {}
    )
    return msgspec.json.encode(said).decode()


async def _still_holds(connection: AsyncConnection, gaining: Mapping[ContactId, frozenset[Alias]]) -> bool:
    """Keep others from giving these contacts anything until the end of the transaction; tell if somebody has."""
    if not gaining:
        return True
    await connection.execute(_LOCK, {"buckets": sorted({contact.int % LOCK_BUCKETS for contact in gaining})})
    held: dict[ContactId, set[Alias]] = {contact: set() for contact in gaining}
    for kind, value, contact in await connection.execute(_HELD, {"contacts": list(gaining)}):
        held[contact].add(Alias(kind, value))
    return held == gaining


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
