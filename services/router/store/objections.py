"""Objections: what people of an account have held against buying, as reps told it."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.brief import MOST_OBJECTIONS, Objection
from services.router.store import tables

_handoff, _event = tables.handoff.c, tables.handoff_event.c


class ObjectionStore:
    """Reads them from the history of the account's handoffs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_account(self, account_id: UUID | None) -> tuple[Objection, ...]:
        """Return the newest objections of one account, newest first."""
        if account_id is None:
            return ()
        async with self._engine.connect() as connection:
            return (await self.of_accounts(connection, [account_id])).get(account_id, ())

    async def of_accounts(
        self, connection: AsyncConnection, accounts: Iterable[UUID | None]
    ) -> Mapping[UUID, tuple[Objection, ...]]:
        """Return the newest objections of each account, newest first."""
        asked = {account for account in accounts if account is not None}
        if not asked:
            return {}
        newest = func.row_number().over(partition_by=_handoff.account_id, order_by=(_event.at.desc(), _event.number))
        said = (
            select(_handoff.account_id, _event.at, _event.objection, _event.rep, _event.by, newest.label("place"))
            .select_from(tables.handoff.join(tables.handoff_event, _event.handoff_id == _handoff.id))
            .where(_handoff.account_id.in_(asked), _event.objection.is_not(None), _event.objection != "")
            .subquery()
        )
        found: dict[UUID, tuple[Objection, ...]] = {}
        rows = select(said).where(said.c.place <= MOST_OBJECTIONS).order_by(said.c.account_id, said.c.place)
        for row in await connection.execute(rows):
            heard = Objection(at=row.at, objection=row.objection, rep=row.rep or row.by)
            found[row.account_id] = (*found.get(row.account_id, ()), heard)
        return found
