"""Merges: each is made once and undone once, in whichever order the two are heard of.

Whoever reads or writes a row holds both of its contacts.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.arming import Arming
from services.scorer.store.tables import merge
from shared.events.contact import ContactsMerged, ContactsUnmerged

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Arming).decode


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge that was heard of. Without armings there was nothing to merge, or it was undone before."""

    survivor_arming: Arming | None
    other_arming: Arming | None
    unmerged: bool


class MergeStore:
    """The rows of `scorer.merge`."""

    async def read(self, connection: AsyncConnection, merge_id: UUID) -> Merge | None:
        """Return a merge, None when nothing was heard of it."""
        row = (await connection.execute(select(merge).where(merge.c.id == merge_id))).one_or_none()
        if row is None:
            return None
        survivor, other = (
            None if arming is None else _decode(arming) for arming in (row.survivor_arming, row.other_arming)
        )
        return Merge(survivor, other, row.unmerged_at is not None)

    async def add(
        self,
        connection: AsyncConnection,
        merged: ContactsMerged,
        *,
        survivor_arming: Arming | None = None,
        other_arming: Arming | None = None,
    ) -> None:
        """Keep a merge with how the contacts stood before it. Without armings it found them one already: it is idle."""
        armings = {
            "survivor_arming": None if survivor_arming is None else _encode(survivor_arming),
            "other_arming": None if other_arming is None else _encode(other_arming),
        }
        statement = insert(merge).values(
            id=merged.id, survivor=merged.survivor, other=merged.other, merged_at=merged.at, **armings
        )
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=armings))

    async def idle(self, connection: AsyncConnection, contacts: Collection[UUID]) -> list[ContactsMerged]:
        """Return merges between two of the contacts that others had made before them: they count when one is undone."""
        rows = await connection.execute(
            select(merge.c.id, merge.c.survivor, merge.c.other, merge.c.merged_at)
            .where(
                merge.c.survivor.in_(contacts),
                merge.c.other.in_(contacts),
                merge.c.survivor_arming.is_(None),
                merge.c.merged_at.is_not(None),
                merge.c.unmerged_at.is_(None),
            )
            .order_by(merge.c.merged_at, merge.c.id)
        )
        return [
            ContactsMerged(id=row.id, survivor=row.survivor, other=row.other, aliases=(), at=row.merged_at)
            for row in rows
        ]

    async def undo(self, connection: AsyncConnection, unmerged: ContactsUnmerged) -> None:
        """Note that the merge is undone, whether it was heard of or not."""
        statement = insert(merge).values(
            id=unmerged.id, survivor=unmerged.survivor, other=unmerged.other, unmerged_at=unmerged.at
        )
        await connection.execute(statement.on_conflict_do_nothing(index_elements=["id"]))
        await connection.execute(update(merge).where(merge.c.id == unmerged.id).values(unmerged_at=unmerged.at))
