"""Rejections, one row each however often the same thing is rejected."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.ingest.domain.wanted import Wanted
from services.ingest.store.tables import rejection
from shared.events.rejected import MAX_MESSAGE_CHARACTERS, MAX_ORIGINAL_BYTES, Rejected

_ROWS = 500  # of one statement, whose parameters are limited
_LONGEST_NAME = 250

# Everything but the bytes, which may be megabytes.
_OUTLINE = [column for column in rejection.c if column.name not in {"headers", "before", "original", "after"}]


class RejectionStore:
    """All rejections that are kept."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def keep(self, connection: AsyncConnection, seen: Iterable[tuple[Rejected, datetime]]) -> None:
        """Keep each rejection, seen at an instant; one that came back from a replay waits again.

        A repeat of what was seen already changes nothing: `attempt` tells it from what came back.
        """
        rows: dict[UUID, dict[str, Any]] = {}
        for rejected, at in seen:
            before = rows.get(rejected.id)
            if before is None or before["replays"] < rejected.attempt:
                rows[rejected.id] = _row(rejected, at)
        ordered = [rows[key] for key in sorted(rows)]  # so that two transactions cannot wait for each other
        for first in range(0, len(ordered), _ROWS):
            statement = insert(rejection).values(ordered[first : first + _ROWS])
            new, old = statement.excluded, rejection.c
            seen_now = func.least(new.seen, old.replays + 1)  # nothing can come back from a replay that was not
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[old.id],
                    set_={
                        "seen": seen_now,
                        "reason": new.reason,
                        "message": new.message,
                        "last_seen": new.last_seen,
                        "waiting": seen_now > old.replays,
                    },
                    where=seen_now > old.seen,
                )
            )

    async def page(self, wanted: Wanted, *, before: tuple[datetime, UUID] | None, limit: int) -> Sequence[Row[Any]]:
        """Return what is wanted without its bytes, newest first."""
        statement = matching(select(*_OUTLINE), wanted)
        if before:
            statement = statement.where(tuple_(rejection.c.first_seen, rejection.c.id) < before)
        statement = statement.order_by(rejection.c.first_seen.desc(), rejection.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            found: Sequence[Row[Any]] = (await connection.execute(statement)).all()
        return found

    async def find(self, identity: UUID) -> Row[Any] | None:
        """Return one rejection whole."""
        async with self._engine.connect() as connection:
            return (await connection.execute(select(rejection).where(rejection.c.id == identity))).one_or_none()

    async def count(self, wanted: Wanted) -> int:
        """Return how many are wanted."""
        async with self._engine.connect() as connection:
            return int(await connection.scalar(matching(select(func.count()).select_from(rejection), wanted)) or 0)

    async def sweep(self, *, older_than: datetime, limit: int) -> int:
        """Forget some of those last seen before the instant; return how many."""
        old = (
            select(rejection.c.id)
            .where(rejection.c.last_seen < older_than)
            .order_by(rejection.c.last_seen)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(rejection).where(rejection.c.id.in_(old)))).rowcount


def matching(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    """Return the statement for what is wanted only."""
    column = rejection.c
    if wanted.ids:
        statement = statement.where(column.id.in_(wanted.ids))
    if wanted.reasons:
        statement = statement.where(column.reason.in_(wanted.reasons))
    if wanted.source is not None:
        statement = statement.where(column.source == wanted.source)
    if wanted.topic is not None:
        statement = statement.where(column.topic == wanted.topic)
    if wanted.since is not None:
        statement = statement.where(column.first_seen >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(column.first_seen < wanted.until)
    if wanted.waiting is not None:
        statement = statement.where(column.waiting.is_(wanted.waiting))
    return statement


def _row(rejected: Rejected, at: datetime) -> dict[str, Any]:
    original = rejected.original[:MAX_ORIGINAL_BYTES]
    return {
        "id": rejected.id,
        "topic": _text(rejected.topic, _LONGEST_NAME),
        "partition": rejected.partition,
        "offset": rejected.offset,
        "item": rejected.item,
        "source": _text(rejected.source, _LONGEST_NAME),
        "reason": _text(rejected.reason, _LONGEST_NAME),
        "message": _text(rejected.message, MAX_MESSAGE_CHARACTERS),
        "headers": msgspec.json.encode(rejected.headers),
        "before": rejected.before,
        "original": original,
        "after": rejected.after,
        "size_bytes": len(original),
        "incomplete": rejected.incomplete or len(original) < len(rejected.original),
        "received_at": rejected.at,
        "first_seen": at,
        "last_seen": at,
        "seen": rejected.attempt + 1,
        "waiting": True,
        "replays": rejected.attempt,
    }


def _text(value: str, most: int) -> str:
    return value.replace("\0", "\ufffd")[:most]  # PostgreSQL has no NUL
