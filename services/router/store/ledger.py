"""The ledger: which record of a system that has no key of ours is a contact's, as its own answers told.

An empty id stands for a record that is being made, or was by an attempt whose answer nobody heard.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, Integer, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

_KNOWN = text(
    """
    SELECT k.name, k.remote_id FROM router.delivery d
    JOIN router.known_record k ON k.endpoint = d.endpoint AND k.contact_id = d.contact_id
    WHERE d.id = :delivery AND k.revision = :revision AND k.remote_id <> ''
    """
).bindparams(bindparam("delivery", type_=Uuid), bindparam("revision", type_=Integer))

# The lock waits for an erasure that is under way; what is about somebody who was erased has no body any more.
_LEARN = text(
    """
    INSERT INTO router.known_record (endpoint, contact_id, name, remote_id, revision, learned_at)
    SELECT endpoint, contact_id, :name, :remote_id, :revision, :now FROM router.delivery
    WHERE id = :delivery AND body <> '' AND contact_id IS NOT NULL FOR SHARE
    ON CONFLICT (endpoint, contact_id, name)
    DO UPDATE SET remote_id = excluded.remote_id, revision = excluded.revision, learned_at = excluded.learned_at
    """
).bindparams(
    bindparam("delivery", type_=Uuid),
    bindparam("name", type_=Text),
    bindparam("remote_id", type_=Text),
    bindparam("revision", type_=Integer),
    bindparam("now", type_=DateTime(timezone=True)),
)

_BEGIN = text(
    """
    WITH about AS (
        SELECT endpoint, contact_id FROM router.delivery
        WHERE id = :delivery AND body <> '' AND contact_id IS NOT NULL FOR SHARE
    ), begun AS (
        INSERT INTO router.known_record AS k (endpoint, contact_id, name, remote_id, revision, learned_at)
        SELECT endpoint, contact_id, :name, '', :revision, :now FROM about
        ON CONFLICT (endpoint, contact_id, name)
        DO UPDATE SET remote_id = '', revision = excluded.revision, learned_at = excluded.learned_at
        WHERE k.revision <> excluded.revision OR k.remote_id = '' AND k.learned_at <= :settled
        RETURNING 1
    )
    SELECT EXISTS (SELECT FROM about) AND NOT EXISTS (SELECT FROM begun)
    """
).bindparams(
    bindparam("delivery", type_=Uuid),
    bindparam("name", type_=Text),
    bindparam("revision", type_=Integer),
    bindparam("now", type_=DateTime(timezone=True)),
    bindparam("settled", type_=DateTime(timezone=True)),
)

_BEGUN_AT = text(
    """
    SELECT k.learned_at FROM router.delivery d
    JOIN router.known_record k ON k.endpoint = d.endpoint AND k.contact_id = d.contact_id AND k.name = :name
    WHERE d.id = :delivery AND k.remote_id = ''
    """
).bindparams(bindparam("delivery", type_=Uuid), bindparam("name", type_=Text))

_FORGET = text(
    """
    DELETE FROM router.known_record k USING router.delivery d
    WHERE d.id = :delivery AND k.endpoint = d.endpoint AND k.contact_id = d.contact_id AND k.name = :name
    """
).bindparams(bindparam("delivery", type_=Uuid), bindparam("name", type_=Text))


class LedgerStore:
    """SQL about known records.

    What was learned counts for one revision of an endpoint: with another key or address it may be another account,
    where the same id is somebody else.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def known(self, delivery: UUID, *, revision: int) -> dict[str, str]:
        """Return the ids that are known of the contact whom the delivery is about, where it goes."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(_KNOWN, {"delivery": delivery, "revision": revision})
            return {row.name: row.remote_id for row in rows}

    async def begin(
        self, delivery: UUID, name: str, *, revision: int, after: timedelta, asked_at: datetime, now: datetime
    ) -> datetime | None:
        """Take a record to be made, and return None; or from when on it may be, when another attempt took it.

        Who took it less than `after` before a search was sent at `asked_at` may have made it, and that search may not
        have known it, however long its answer took. One that became known meanwhile may be looked up at once.
        """
        values = {"name": name, "revision": revision, "now": now, "settled": asked_at - after}
        async with self._engine.begin() as connection:
            if not await connection.scalar(_BEGIN, {"delivery": delivery, **values}):
                return None
            begun: datetime | None = await connection.scalar(_BEGUN_AT, {"delivery": delivery, "name": name})
        return begun + after if begun else now

    async def learn(self, delivery: UUID, learned: Mapping[str, str | None], *, revision: int, now: datetime) -> None:
        """Keep ids, and forget those that are None."""
        async with self._engine.begin() as connection:
            for name, remote_id in sorted(learned.items()):
                if remote_id is None:
                    await connection.execute(_FORGET, {"delivery": delivery, "name": name})
                    continue
                values = {"name": name, "remote_id": remote_id, "revision": revision, "now": now}
                await connection.execute(_LEARN, {"delivery": delivery, **values})
