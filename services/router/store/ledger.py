"""The ledger: which record of a system that has no key of ours is a contact's, as its own answers told."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Integer, Text, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

_KNOWN = text(
    """
    SELECT k.name, k.remote_id FROM router.delivery d
    JOIN router.known_record k ON k.endpoint = d.endpoint AND k.contact_id = d.contact_id
    WHERE d.id = :delivery AND k.revision = :revision
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

    async def learn(self, delivery: UUID, learned: Mapping[str, str | None], *, revision: int, now: datetime) -> None:
        """Keep ids, and forget those that are None."""
        async with self._engine.begin() as connection:
            for name, remote_id in sorted(learned.items()):
                if remote_id is None:
                    await connection.execute(_FORGET, {"delivery": delivery, "name": name})
                    continue
                values = {"name": name, "remote_id": remote_id, "revision": revision, "now": now}
                await connection.execute(_LEARN, {"delivery": delivery, **values})
