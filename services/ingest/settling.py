"""Pairs of contacts that a release without merges found to be one person, and kept for later.

Each is decided like the event that showed it, whose names were kept, and then forgotten. A crash in between decides
again, which changes nothing.
"""

import structlog
from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.domain.identifiers import Names
from services.ingest.identifying import Identifying
from services.ingest.store.tables import pending_merge

SETTLED_AT_ONCE = 200


class Settling:
    """Works `ingest.pending_merge` off, the oldest first."""

    def __init__(self, engine: AsyncEngine, identifying: Identifying) -> None:
        self._engine = engine
        self._identifying = identifying

    async def settle(self) -> int:
        """Settle some pairs; return how many."""
        table = pending_merge.c
        async with self._engine.connect() as connection:
            statement = select(pending_merge).order_by(table.first_seen, table.survivor, table.other)
            pairs = (await connection.execute(statement.limit(SETTLED_AT_ONCE))).all()
        if not pairs:
            return 0
        decision = await self._identifying.decide(
            [Names(**pair.evidence) for pair in pairs], [pair.first_seen for pair in pairs]
        )
        async with self._engine.begin() as connection:
            pair_id = tuple_(table.survivor, table.other)
            done = [(pair.survivor, pair.other) for pair in pairs]
            await connection.execute(delete(pending_merge).where(pair_id.in_(done)))
        structlog.get_logger().info(
            "pending_merges.settled", pairs=len(pairs), merged=len(decision.merges), refused=dict(decision.refused)
        )
        return len(pairs)
