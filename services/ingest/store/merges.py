"""Merges of contacts: done, told, listed, undone.

A merge moves the aliases, keeps a row, and puts its message into the outbox in one transaction: a crash at any line
leaves all of it or nothing. Both contacts are locked, so the messages about one contact are in the outbox in the order
of what they tell.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, Uuid, bindparam, insert, literal, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.identifiers import Names
from services.ingest.domain.identity import Merge
from services.ingest.domain.known import History
from services.ingest.errors import MergeNotFound, MergeTooDeep
from services.ingest.store.locks import lock_contacts
from services.ingest.store.tables import merge
from shared.events.contact import ContactsMerged, ContactsUnmerged, encode_contact
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import ContactId, MessageId, derived_id
from shared.postgres.outbox import Outbox, OutboxMessage

_IDS: ARRAY[Any] = ARRAY(Uuid())

_MOVE = text(
    "UPDATE ingest.alias SET contact_id = step.survivor"
    " FROM unnest(:survivors, :others) AS step (survivor, other)"
    " WHERE alias.contact_id = step.other RETURNING step.other, alias.kind, alias.value"
).bindparams(bindparam("survivors", type_=_IDS), bindparam("others", type_=_IDS))

_MOVE_BACK = text(
    "UPDATE ingest.alias SET contact_id = :other"
    " FROM unnest(:kinds, :names) AS moved (kind, value)"
    " WHERE alias.kind = moved.kind AND alias.value = moved.value AND alias.contact_id = :survivor"
    " RETURNING alias.kind, alias.value"
).bindparams(
    bindparam("other", type_=Uuid()),
    bindparam("survivor", type_=Uuid()),
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("names", type_=ARRAY(Text)),
)

# A contact, all that live on in it, and from whom each of them was parted.
_HISTORIES = text(
    """
    WITH RECURSIVE member (contact, id) AS (
        SELECT id, id FROM unnest(:contacts) AS contact (id)
        UNION
        SELECT member.contact, merge.other
        FROM member JOIN ingest.merge ON merge.survivor = member.id AND merge.undone_at IS NULL
    )
    SELECT contact, id, ARRAY(
        SELECT other FROM ingest.merge WHERE survivor = member.id AND undone_at IS NOT NULL
        UNION ALL
        SELECT survivor FROM ingest.merge WHERE other = member.id AND undone_at IS NOT NULL
    ) AS apart
    FROM member
    """
).bindparams(bindparam("contacts", type_=_IDS))


@dataclass(frozen=True, slots=True)
class StoredMerge:
    """A merge as it is kept."""

    id: UUID
    survivor: UUID
    other: UUID
    evidence: dict[str, str]
    aliases: tuple[Alias, ...]  # that were moved
    merged_at: datetime
    undone_at: datetime | None
    undone_by: str | None


def merge_id(survivor: ContactId, other: ContactId) -> UUID:
    """Derive the identity of a merge: a pair is merged at most once, as nobody repeats what was undone."""
    return derived_id("merge", survivor, other)


async def read_histories(connection: AsyncConnection, contacts: Collection[ContactId]) -> dict[ContactId, History]:
    """Return which merges made the contacts what they are."""
    members: dict[ContactId, set[ContactId]] = {contact: set() for contact in contacts}
    apart: dict[ContactId, set[ContactId]] = {contact: set() for contact in contacts}
    for contact, member, parted in await connection.execute(_HISTORIES, {"contacts": list(contacts)}):
        members[contact].add(member)
        apart[contact].update(parted)
    return {contact: History(frozenset(members[contact]), frozenset(apart[contact])) for contact in contacts}


class Merges:
    """The rows of `ingest.merge`, and what the log is told of them."""

    def __init__(self, engine: AsyncEngine, outbox: Outbox) -> None:
        self._engine = engine
        self._outbox = outbox

    def announce(self) -> None:
        """Wake the relay, after the commit."""
        self._outbox.announce()

    async def write(
        self, connection: AsyncConnection, merges: Sequence[Merge], *, received_at: Sequence[datetime], now: datetime
    ) -> None:
        """Merge within the caller's transaction, which holds the locks of all these contacts."""
        for step in _steps(merges):
            moved: dict[UUID, list[Alias]] = {one.other: [] for one in step}
            for other, kind, value in await connection.execute(
                _MOVE, {"survivors": [one.survivor for one in step], "others": [one.other for one in step]}
            ):
                moved[other].append(Alias(kind, value))
            await connection.execute(
                insert(merge),
                [
                    {
                        "id": merge_id(one.survivor, one.other),
                        "survivor": one.survivor,
                        "other": one.other,
                        "evidence": _evidence(one.names),
                        "aliases": [[alias.kind, alias.value] for alias in sorted(moved[one.other])],
                        "merged_at": now,
                    }
                    for one in step
                ],
            )
            await self._outbox.put(
                connection,
                [
                    _message(
                        ContactsMerged(
                            id=merge_id(one.survivor, one.other),
                            survivor=one.survivor,
                            other=one.other,
                            aliases=tuple(sorted(moved[one.other])),
                            at=received_at[one.event],
                        )
                    )
                    for one in step
                ],
            )

    async def undo(self, identity: UUID, *, by: str, now: datetime) -> tuple[StoredMerge, bool]:
        """Give the other contact its aliases back; return the merge, and whether it was not undone before.

        Raises MergeNotFound; MergeTooDeep when the survivor has itself been merged since.
        """
        async with self._engine.begin() as connection:
            first = await self._read(connection, identity)
            await lock_contacts(connection, [ContactId(first.survivor), ContactId(first.other)])
            found = await self._read(connection, identity)
            if found.undone_at is not None:
                return found, False
            if (outer := await self._outermost(connection, found.survivor)) is not None:
                raise MergeTooDeep(identity, outer)
            back = await connection.execute(
                _MOVE_BACK,
                {
                    "survivor": found.survivor,
                    "other": found.other,
                    "kinds": [alias.kind for alias in found.aliases],
                    "names": [alias.value for alias in found.aliases],
                },
            )
            returned = tuple(sorted(Alias(kind, value) for kind, value in back))
            await connection.execute(update(merge).where(merge.c.id == identity).values(undone_at=now, undone_by=by))
            message = ContactsUnmerged(
                id=identity, survivor=found.survivor, other=found.other, aliases=returned, at=now
            )
            await self._outbox.put(connection, [_message(message)])
            undone = await self._read(connection, identity)
        self.announce()
        return undone, True

    async def page(
        self, *, contact: UUID | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[StoredMerge]:
        """Return merges, newest first: all of them, or those that the contact and its members took part in."""
        statement = select(merge).order_by(merge.c.merged_at.desc(), merge.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(tuple_(merge.c.merged_at, merge.c.id) < tuple_(*map(literal, before)))
        if contact is not None:
            statement = statement.where(merge.c.id.in_(_about(contact)))
        async with self._engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(statement)]

    async def _read(self, connection: AsyncConnection, identity: UUID) -> StoredMerge:
        row = (await connection.execute(select(merge).where(merge.c.id == identity))).one_or_none()
        if row is None:
            raise MergeNotFound(identity)
        return _stored(row)

    async def _outermost(self, connection: AsyncConnection, survivor: UUID) -> UUID | None:
        """Return the merge to undo first, if the survivor lives on in another contact itself."""
        outer: UUID | None = None
        contact: UUID | None = survivor
        while contact is not None:
            row = (
                await connection.execute(
                    select(merge.c.id, merge.c.survivor).where(merge.c.other == contact, merge.c.undone_at.is_(None))
                )
            ).one_or_none()
            outer, contact = (row.id, row.survivor) if row else (outer, None)
        return outer


def _about(contact: UUID) -> Any:
    """Select the merges whose parts live in the contact, and those of the contact into others."""
    member = select(literal(contact, Uuid()).label("id")).cte("member", recursive=True)
    member = member.union(select(merge.c.other).where(merge.c.survivor == member.c.id, merge.c.undone_at.is_(None)))
    return select(merge.c.id).where(
        or_(merge.c.survivor.in_(select(member.c.id)), merge.c.other.in_(select(member.c.id)))
    )


def _steps(merges: Iterable[Merge]) -> Iterable[list[Merge]]:
    """Yield what one statement can move: whoever is merged away must have been given its own before."""
    step: list[Merge] = []
    survivors: set[ContactId] = set()
    for one in merges:
        if one.other in survivors:
            yield step
            step, survivors = [], set()
        step.append(one)
        survivors.add(one.survivor)
    if step:
        yield step


def _evidence(names: Names) -> dict[str, str]:
    said = {str(alias.kind): alias.value for alias in names.aliases}
    return said | ({"previous": names.previous} if names.previous else {})


def _message(told: ContactsMerged | ContactsUnmerged) -> OutboxMessage:
    kind = told.__struct_config__.tag
    return OutboxMessage(
        id=MessageId(derived_id(kind, told.id)),
        topic=TopicName.CONTACTS,
        key=str(told.other).encode(),
        value=encode_contact(told),
    )


def _stored(row: Any) -> StoredMerge:
    return StoredMerge(
        id=row.id,
        survivor=row.survivor,
        other=row.other,
        evidence=row.evidence,
        aliases=tuple(Alias(kind, value) for kind, value in row.aliases),
        merged_at=row.merged_at,
        undone_at=row.undone_at,
        undone_by=row.undone_by,
    )
