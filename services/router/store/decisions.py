"""Why each handoff went where it went."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.assignment import Decision
from services.router.store import tables


class DecisionStore:
    """All SQL about decisions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save(
        self, connection: AsyncConnection, decisions: Iterable[tuple[UUID, int, Decision]], *, now: datetime
    ) -> None:
        """Keep the decisions: of each assignment of a handoff the last one, which is the one that made it."""
        statement = insert(tables.decision)
        statement = statement.on_conflict_do_update(
            index_elements=["handoff_id", "number"],
            set_={"at": statement.excluded.at, "document": statement.excluded.document},
        )
        rows = [
            {"handoff_id": handoff_id, "number": number, "at": now, "document": msgspec.to_builtins(decision)}
            for handoff_id, number, decision in decisions
        ]
        if rows:
            await connection.execute(statement, rows)

    async def of(self, handoff_id: UUID) -> list[tuple[datetime, dict[str, Any]]]:
        """Return the decisions about a handoff, newest first."""
        decision = tables.decision.c
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                select(decision.at, decision.document)
                .where(decision.handoff_id == handoff_id)
                .order_by(decision.number.desc())
            )
            return [(row.at, row.document) for row in rows]
