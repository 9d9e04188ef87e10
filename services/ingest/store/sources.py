"""Sources and their keys. Every change makes the version grow, by which processes know to read them again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from services.ingest.domain.source import Allowance, Source
from services.ingest.domain.source_key import SourceKey
from services.ingest.store import tables

_ALLOWANCE = Allowance.__struct_fields__


class StoredSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source as it is stored: its secrets are sealed, and not in `source`."""

    source: Source
    sealed: tuple[str, ...]
    created_at: datetime
    created_by: str
    keys: tuple[SourceKey, ...] = ()


class SourceStore:
    """Reads and writes sources within the transaction of the caller."""

    async def version(self, connection: AsyncConnection) -> int:
        """Return the version of all sources together."""
        return int(await connection.scalar(select(tables.source_version.c.version)) or 0)

    async def all(self, connection: AsyncConnection) -> list[StoredSource]:
        """Return every source with its keys, by name."""
        keys: dict[str, list[SourceKey]] = defaultdict(list)
        order = tables.source_key.c.created_at.desc()
        for row in await connection.execute(select(tables.source_key).order_by(order)):
            keys[row.source].append(_key(row))
        rows = await connection.execute(select(tables.source).order_by(tables.source.c.name))
        return [_stored(row, keys[row.name]) for row in rows]

    async def find(self, connection: AsyncConnection, name: str, *, lock: bool = False) -> StoredSource | None:
        """Return the source, locked until the end of the transaction when asked to."""
        found = select(tables.source).where(tables.source.c.name == name)
        row = (await connection.execute(found.with_for_update() if lock else found)).one_or_none()
        if row is None:
            return None
        of_source = select(tables.source_key).where(tables.source_key.c.source == name)
        rows = await connection.execute(of_source.order_by(tables.source_key.c.created_at.desc()))
        return _stored(row, [_key(key) for key in rows])

    async def add(self, connection: AsyncConnection, stored: StoredSource) -> bool:
        """Add the source with its keys; False when there is one of that name."""
        source = stored.source
        values = {
            "name": source.name,
            "kind": source.kind,
            "provider": source.provider,
            "secrets": list(stored.sealed),
            "mapping": source.mapping,
            "requires_consent": source.requires_consent,
            "disabled_at": source.disabled_at,
            "created_at": stored.created_at,
            "created_by": stored.created_by,
            **{field: getattr(source.allowance, field) for field in _ALLOWANCE},
        }
        added = await connection.execute(postgresql.insert(tables.source).values(values).on_conflict_do_nothing())
        if not added.rowcount:
            return False
        await self.replace_keys(connection, source.name, stored.keys)
        return True

    async def change(self, connection: AsyncConnection, name: str, values: Mapping[str, Any]) -> None:
        """Set columns of the source."""
        if values:
            await connection.execute(update(tables.source).where(tables.source.c.name == name).values(**values))
        await self._changed(connection)

    async def replace_keys(self, connection: AsyncConnection, name: str, keys: Sequence[SourceKey]) -> None:
        """Make these the keys of the source."""
        await connection.execute(delete(tables.source_key).where(tables.source_key.c.source == name))
        rows = [{"source": name, **msgspec.structs.asdict(key)} for key in keys]
        await connection.execute(insert(tables.source_key), rows)
        await self._changed(connection)

    async def reseal(
        self, connection: AsyncConnection, name: str, *, before: Sequence[str], after: Sequence[str]
    ) -> None:
        """Replace the sealed secrets, unless somebody has changed them."""
        of_source = (tables.source.c.name == name) & (tables.source.c.secrets == list(before))
        await connection.execute(update(tables.source).where(of_source).values(secrets=list(after)))

    async def _changed(self, connection: AsyncConnection) -> None:
        version = tables.source_version.c.version
        await connection.execute(update(tables.source_version).values({version: version + 1}))


def _stored(row: Row[Any], keys: Sequence[SourceKey]) -> StoredSource:
    source = Source(
        name=row.name,
        kind=row.kind,
        provider=row.provider,
        mapping=row.mapping,
        requires_consent=row.requires_consent,
        disabled_at=row.disabled_at,
        allowance=Allowance(**{field: getattr(row, field) for field in _ALLOWANCE}),
    )
    return StoredSource(
        source=source,
        sealed=tuple(row.secrets),
        created_at=row.created_at,
        created_by=row.created_by,
        keys=tuple(keys),
    )


def _key(row: Row[Any]) -> SourceKey:
    return SourceKey(digest=row.digest, hint=row.hint, created_at=row.created_at, expires_at=row.expires_at)
