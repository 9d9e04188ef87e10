"""Nurtures: what marketing was told about whom, each once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.outcome import NEVER_ARRIVED
from services.router.store import tables
from services.router.store.erasures import Holder

_delivery = tables.delivery.c
_attempt = tables.attempt.c
_nurture = tables.nurture.c
_opted_out = tables.opted_out.c

_ADD = insert(tables.nurture).on_conflict_do_nothing().returning(_nurture.message_id)


@dataclass(frozen=True, slots=True)
class NewNurture:
    """A message to marketing, as it came off the log."""

    message_id: str
    contact_id: UUID
    at: datetime


class NurtureStore:
    """The rows of `router.nurture`, and the deliveries of these messages."""

    async def add(self, connection: AsyncConnection, nurtures: Sequence[NewNurture]) -> set[str]:
        """Remember messages, and return those that are new and about nobody who opted out since or was erased."""
        contacts = [nurture.contact_id for nurture in nurtures]
        gone = tables.erased.c.contact_id
        erased = set(await connection.scalars(select(gone).where(gone.in_(contacts))))
        rows = await connection.execute(select(tables.opted_out).where(_opted_out.contact_id.in_(contacts)))
        opted_out = {row.contact_id: row.at for row in rows}
        values = [
            {"message_id": nurture.message_id, "contact_id": nurture.contact_id, "at": nurture.at}
            for nurture in nurtures
            if nurture.contact_id not in erased
            and not (nurture.contact_id in opted_out and nurture.at <= opted_out[nurture.contact_id])
        ]
        return set(await connection.scalars(_ADD, values)) if values else set()

    async def withdraw(self, connection: AsyncConnection, contacts: Collection[UUID]) -> None:
        """Send nothing more of what was decided before these contacts opted out."""
        unwanted = (
            select(_nurture.message_id)
            .join(tables.opted_out, _opted_out.contact_id == _nurture.contact_id)
            .where(_nurture.contact_id.in_(contacts), _nurture.at <= _opted_out.at)
        )
        await self._cancel(connection, list(await connection.scalars(unwanted)))

    async def erase(self, connection: AsyncConnection, contacts: Collection[UUID]) -> list[Holder]:
        """Send nothing more about the contacts, empty what is kept, and return the endpoints that may have had any."""
        gone = delete(tables.nurture).where(_nurture.contact_id.in_(contacts)).returning(_nurture.message_id)
        messages = list(await connection.scalars(gone))
        if not messages:
            return []
        mine = _delivery.message_id.in_(messages)
        await connection.execute(select(_delivery.id).where(mine).order_by(_delivery.id).with_for_update())
        await self._cancel(connection, messages)
        may_have_arrived = exists().where(
            _attempt.delivery_id == _delivery.id, _attempt.outcome.not_in([str(outcome) for outcome in NEVER_ARRIVED])
        )
        rows = await connection.execute(
            select(_delivery.endpoint, func.max(_delivery.lease_until).label("until"))
            .where(mine, or_(_delivery.state == "sending", _delivery.unsure, may_have_arrived))
            .group_by(_delivery.endpoint)
        )
        holders = [Holder(row.endpoint, (), row.until) for row in rows]
        about_them = _attempt.delivery_id.in_(select(_delivery.id).where(mine))
        await connection.execute(update(tables.attempt).where(about_them).values(response="", error=""))
        await connection.execute(update(tables.delivery).where(mine).values(body=b"", traceparent=None))
        return holders

    async def _cancel(self, connection: AsyncConnection, messages: Sequence[str]) -> None:
        if messages:
            sending = _delivery.state == "sending"
            await connection.execute(
                update(tables.delivery)
                .where(_delivery.message_id.in_(messages), _delivery.state.in_(["pending", "dead", "sending"]))
                .values(
                    state=case((sending, _delivery.state), else_="cancelled"),
                    cancelled=sending,
                    ended_at=case((sending, _delivery.ended_at), else_=func.coalesce(_delivery.ended_at, func.now())),
                )
            )
