"""How CRMs are understood, and what they sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.store import tables

KEPT = timedelta(days=30)  # what CRMs sent
KEPT_BYTES = 65_536  # of one of them

_FORGOTTEN = 100  # at once
_hook = tables.crm_hook.c
_answer = tables.crm_answer.c


@dataclass(frozen=True, slots=True)
class StoredHook:
    """How the webhooks of an endpoint's CRM are understood. The secret is sealed."""

    endpoint: str
    document: dict[str, Any]
    secret: str
    changed_at: datetime
    changed_by: str


class CrmStore:
    """SQL about the webhooks of CRMs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def hook(self, endpoint: str) -> StoredHook | None:
        """Return how the endpoint's CRM is understood."""
        async with self._engine.connect() as connection:
            statement = select(tables.crm_hook).where(_hook.endpoint == endpoint)
            row = (await connection.execute(statement)).mappings().one_or_none()
            return StoredHook(**row) if row else None

    async def save_hook(self, hook: StoredHook) -> None:
        """Replace how the endpoint's CRM is understood."""
        values = {name: getattr(hook, name) for name in ("document", "secret", "changed_at", "changed_by")}
        async with self._engine.begin() as connection:
            await connection.execute(
                insert(tables.crm_hook)
                .values(endpoint=hook.endpoint, **values)
                .on_conflict_do_update(index_elements=["endpoint"], set_=values)
            )

    async def remove_hook(self, endpoint: str) -> bool:
        """Understand the endpoint's CRM no more; return whether it was."""
        async with self._engine.begin() as connection:
            removed = await connection.scalar(
                delete(tables.crm_hook).where(_hook.endpoint == endpoint).returning(_hook.endpoint)
            )
            return removed is not None

    async def is_known(self, connection: AsyncConnection, answer_id: UUID) -> bool:
        """Tell whether it was sent before."""
        return await connection.scalar(select(_answer.id).where(_answer.id == answer_id)) is not None

    async def keep(self, connection: AsyncConnection, **values: Any) -> None:
        """Keep what was sent, and what came of it; what is older than `KEPT` goes."""
        await connection.execute(insert(tables.crm_answer).values(**values).on_conflict_do_nothing())
        old = select(_answer.id).where(_answer.received_at < values["received_at"] - KEPT).limit(_FORGOTTEN)
        await connection.execute(delete(tables.crm_answer).where(_answer.id.in_(old.with_for_update(skip_locked=True))))

    async def page(
        self, endpoint: str, *, outcomes: Sequence[str], before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Row[Any]]:
        """Return what was sent, newest first, those before the cursor."""
        statement = select(tables.crm_answer).where(_answer.endpoint == endpoint)
        statement = statement.order_by(_answer.received_at.desc(), _answer.id.desc()).limit(limit)
        if outcomes:
            statement = statement.where(_answer.outcome.in_(list(outcomes)))
        if before:
            statement = statement.where(tuple_(_answer.received_at, _answer.id) < tuple_(*before))
        async with self._engine.connect() as connection:
            return list(await connection.execute(statement))
