"""Erasures: forgetting aliases, and knowing them again by their hashes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, Text, bindparam, delete, func, or_, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain.forgetting import alias_hash
from services.ingest.store import tables
from services.ingest.store.locks import lock_contacts
from shared.events.contact import ContactErased
from shared.events.touch import Alias
from shared.ids import ContactId, derived_id

# Whoever links aliases shares this lock, and an erasure has it alone: so one of the two sees the other.
_LOCK_SPACE = derived_id("ingest", "erasure").int & 0x7FFF_FFFF_FFFF_FFFF
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_LOCK_SPACE})")
_EXCLUDE = text(f"SELECT pg_advisory_xact_lock({_LOCK_SPACE})")

# The same for whoever keeps rejections. It is another lock since an erasure may look through many of them for long.
_REJECTIONS_LOCK = derived_id("ingest", "erasure", "rejections").int & 0x7FFF_FFFF_FFFF_FFFF
_SHARE_REJECTIONS = text(f"SELECT pg_advisory_xact_lock_shared({_REJECTIONS_LOCK})")
_EXCLUDE_REJECTIONS = text(f"SELECT pg_advisory_xact_lock({_REJECTIONS_LOCK})")

_ANY = text("SELECT EXISTS (SELECT FROM ingest.erased)")
_MET = text(
    "SELECT hash, NULL::uuid AS contact_id FROM ingest.erased_alias WHERE hash = ANY(:hashes)"
    " UNION ALL SELECT NULL, contact_id FROM ingest.erased WHERE contact_id = ANY(:contacts)"
).bindparams(
    bindparam("hashes", type_=ARRAY(LargeBinary)),
    bindparam("contacts", type_=ARRAY(postgresql.UUID(as_uuid=True))),
)

_ABOUT_THEM = (
    " WHERE survivor = ANY(:contacts) OR other = ANY(:contacts) OR EXISTS"
    " (SELECT FROM unnest(:kinds, :names) AS gone (kind, value)"
    "  WHERE evidence ->> gone.kind = gone.value OR evidence ->> 'previous' = gone.value)"
)
_GONE = (
    bindparam("contacts", type_=ARRAY(postgresql.UUID(as_uuid=True))),
    bindparam("kinds", type_=ARRAY(Text)),
    bindparam("names", type_=ARRAY(Text)),
)
# Which contacts were merged stays known: it tells nothing about who they were.
_FORGET_EVIDENCE = tuple(
    text(statement + _ABOUT_THEM).bindparams(*_GONE)
    for statement in (
        "DELETE FROM ingest.pending_merge",
        "UPDATE ingest.merge SET evidence = '{}', aliases = '[]'",
    )
)


# Bytes as text that is the same for all encodings: what is no ASCII is escaped in both.
_FORGET_REJECTIONS = text(
    """
    WITH page AS (
        SELECT id, topic, lower(concat_ws(' ', message, encode(headers, 'escape'), encode("before", 'escape'),
                                          encode(original, 'escape'), encode("after", 'escape'))) AS said
        FROM ingest.rejection WHERE id > :after ORDER BY id LIMIT :limit
    ), gone AS (
        DELETE FROM ingest.rejection USING page
        WHERE rejection.id = page.id AND (EXISTS (
            SELECT FROM unnest(:names) AS name
            WHERE position(lower(encode(convert_to(name, 'UTF8'), 'escape')) IN page.said) > 0
        ) OR page.topic <> 'contacts' AND EXISTS (
            SELECT FROM unnest(:contacts) AS contact WHERE position(contact::text IN page.said) > 0
        ))
    )
    SELECT id FROM page ORDER BY id DESC LIMIT 1
    """
).bindparams(
    bindparam("after", type_=postgresql.UUID(as_uuid=True)),
    bindparam("names", type_=ARRAY(Text)),
    bindparam("contacts", type_=ARRAY(postgresql.UUID(as_uuid=True))),
)
_REJECTIONS_AT_ONCE = 200  # of up to 2 MB each, well within the time of a statement
_MET_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Met:
    """The erased aliases and contacts that somebody was about to write about again."""

    aliases: frozenset[Alias]
    contacts: frozenset[ContactId]

    def __bool__(self) -> bool:
        return bool(self.aliases or self.contacts)


@dataclass(frozen=True, slots=True)
class Lifted:
    """What is not known as erased any more: those of the aliases asked for that were, by which erasures."""

    aliases: frozenset[Alias]
    erasures: tuple[UUID, ...]
    hashes: int  # with those of the other aliases that were erased at once


NOBODY = Met(frozenset(), frozenset())


class ErasureStore:
    """The rows of `ingest.erased` and `ingest.erased_alias`."""

    def __init__(self) -> None:
        self._pepper: bytes | None = None  # made by the migration, and never changed

    async def share(self, connection: AsyncConnection) -> None:
        """Keep erasures out until the transaction ends; what they did before is seen by the statements after this."""
        await connection.execute(_SHARE)

    async def share_rejections(self, connection: AsyncConnection) -> None:
        """Keep erasures from looking through the rejections until the transaction ends, as `share` does for aliases."""
        await connection.execute(_SHARE_REJECTIONS)

    async def exclude(self, connection: AsyncConnection) -> None:
        """Keep whoever links aliases, and other erasures, out until the transaction ends."""
        await connection.execute(_EXCLUDE)

    async def any(self, connection: AsyncConnection) -> bool:
        """Tell whether anybody was ever erased."""
        return bool(await connection.scalar(_ANY))

    async def met(
        self, connection: AsyncConnection, aliases: Collection[Alias], contacts: Collection[ContactId]
    ) -> Met:
        """Return those that were erased. Ask after `share`."""
        if not await self.any(connection):
            return NOBODY
        pepper = await self._read_pepper(connection)
        by_hash = {alias_hash(pepper, alias): alias for alias in aliases}
        hashes, ids = list(by_hash), list(contacts)
        met_hashes: set[bytes] = set()
        met_contacts: set[ContactId] = set()
        for first in range(0, max(len(hashes), len(ids)), _MET_AT_ONCE):
            part = slice(first, first + _MET_AT_ONCE)
            for row in await connection.execute(_MET, {"hashes": hashes[part], "contacts": ids[part]}):
                if row.hash is not None:
                    met_hashes.add(bytes(row.hash))
                else:
                    met_contacts.add(ContactId(row.contact_id))
        return Met(frozenset(by_hash[each] for each in met_hashes), frozenset(met_contacts))

    async def forget_rejections(self, connection: AsyncConnection, contacts: Sequence[UUID]) -> None:
        """Remove what was set aside and names one of the contacts, before their aliases are forgotten.

        An address counts wherever it stands, an id only as a whole JSON text: a short one is part of many words. What
        is kept from now on meets the hashes.
        """
        await connection.execute(_EXCLUDE_REJECTIONS)
        alias = tables.alias.c
        named = await connection.execute(select(alias.kind, alias.value).where(alias.contact_id.in_(contacts)))
        names: list[str] = []
        for row in named:
            names += [row.value, quote(row.value, safe="")] if row.kind == "email" else [f'"{row.value}"']
        after: UUID | None = UUID(int=0)
        while after is not None:
            after = await connection.scalar(
                _FORGET_REJECTIONS,
                {"after": after, "names": names, "contacts": list(contacts), "limit": _REJECTIONS_AT_ONCE},
            )

    async def erase(self, connection: AsyncConnection, erased: ContactErased) -> int:
        """Forget the contacts' aliases but for their hashes; return how many there were."""
        await self.exclude(connection)
        await lock_contacts(connection, map(ContactId, erased.contact_ids))  # whoever undoes a merge has them, too
        pepper = await self._read_pepper(connection)
        await connection.execute(
            insert(tables.erased).on_conflict_do_nothing(index_elements=["contact_id"]),
            [{"contact_id": contact, "erasure_id": erased.id, "at": erased.at} for contact in erased.contact_ids],
        )
        alias = tables.alias.c
        gone = [
            Alias(row.kind, row.value)
            for row in await connection.execute(
                delete(tables.alias).where(alias.contact_id.in_(erased.contact_ids)).returning(alias.kind, alias.value)
            )
        ]
        if gone:
            await connection.execute(
                insert(tables.erased_alias).on_conflict_do_nothing(index_elements=["hash"]),
                [{"hash": alias_hash(pepper, each), "at": erased.at} for each in gone],
            )
        await self._forget_evidence(connection, erased.contact_ids, gone)
        return len(gone)

    async def lift(self, connection: AsyncConnection, aliases: Collection[Alias]) -> Lifted:
        """Forget the hashes of the aliases, and of all that were erased with them. Hold `exclude`.

        Hashes do not say whose they are but by the instant of their erasure. Where two erasures share it, which takes
        two of one microsecond, only those of the aliases themselves are forgotten.
        """
        pepper = await self._read_pepper(connection)
        by_hash = {alias_hash(pepper, alias): alias for alias in aliases}
        hashed, erased = tables.erased_alias.c, tables.erased.c
        met = (await connection.execute(select(hashed.hash, hashed.at).where(hashed.hash.in_(list(by_hash))))).all()
        erasures = (
            await connection.execute(
                select(erased.at, func.array_agg(erased.erasure_id.distinct()).label("ids"))
                .where(erased.at.in_({row.at for row in met}))
                .group_by(erased.at)
            )
        ).all()
        alone = [row.at for row in erasures if len(row.ids) == 1]
        gone = await connection.execute(
            delete(tables.erased_alias).where(or_(hashed.hash.in_([row.hash for row in met]), hashed.at.in_(alone)))
        )
        return Lifted(
            aliases=frozenset(by_hash[bytes(row.hash)] for row in met),
            erasures=tuple(sorted({identity for row in erasures for identity in row.ids})),
            hashes=gone.rowcount,
        )

    async def _forget_evidence(
        self, connection: AsyncConnection, contacts: Sequence[UUID], gone: Iterable[Alias]
    ) -> None:
        named = list(gone)
        for statement in _FORGET_EVIDENCE:
            await connection.execute(
                statement,
                {
                    "contacts": list(contacts),
                    "kinds": [alias.kind for alias in named],
                    "names": [alias.value for alias in named],
                },
            )

    async def _read_pepper(self, connection: AsyncConnection) -> bytes:
        if self._pepper is None:
            self._pepper = (await connection.scalars(select(tables.pepper.c.value))).one()
        return self._pepper
