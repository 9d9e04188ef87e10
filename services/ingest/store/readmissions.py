"""Readmissions: hashes forgotten, aliases linked, and who saw to it, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.domain.readmission import readmission_event, readmitted_id
from services.ingest.errors import NotErased, NotOnePerson
from services.ingest.store.erasures import ErasureStore
from services.ingest.store.tables import alias, readmission
from shared.events.topics import TopicName
from shared.events.touch import Alias
from shared.ids import MessageId
from shared.postgres.outbox import Outbox, OutboxMessage


@dataclass(frozen=True, slots=True)
class Readmission:
    """One that was done. `hashes` is how many aliases are not known as erased any more."""

    id: UUID
    contact_id: UUID
    erasure_ids: tuple[UUID, ...]
    hashes: int
    at: datetime
    by: str


class ReadmissionStore:
    """The rows of `ingest.readmission`."""

    def __init__(self, engine: AsyncEngine, erasures: ErasureStore, outbox: Outbox) -> None:
        self._engine = engine
        self._erasures = erasures
        self._outbox = outbox

    async def readmit(
        self, identity: UUID, names: Mapping[str, Sequence[Alias]], *, by: str, now: datetime
    ) -> Readmission:
        """Let the person of these names, each with what it may be as an alias, be a new contact.

        Raises NotErased, NotOnePerson; then nothing has changed.
        """
        contact = readmitted_id(identity)
        async with self._engine.begin() as connection:
            await self._erasures.exclude(connection)
            lifted = await self._erasures.lift(connection, {each for aliases in names.values() for each in aliases})
            for name, aliases in names.items():
                if lifted.aliases.isdisjoint(aliases):
                    raise NotErased(name)
            linked = sorted(lifted.aliases)
            if sum(each.kind == "user" for each in linked) > 1:
                raise NotOnePerson
            await connection.execute(
                insert(alias), [{"kind": each.kind, "value": each.value, "contact_id": contact} for each in linked]
            )
            done = Readmission(identity, contact, lifted.erasures, lifted.hashes, now, by)
            await connection.execute(
                insert(readmission).values(
                    id=done.id,
                    contact_id=done.contact_id,
                    erasure_ids=list(done.erasure_ids),
                    hashes=done.hashes,
                    at=done.at,
                    by=done.by,
                )
            )
            message = OutboxMessage(
                id=MessageId(identity),
                topic=TopicName.EVENTS_WEB,
                key=str(contact).encode(),
                value=readmission_event(identity, linked),
            )
            await self._outbox.put(connection, [message])
        self._outbox.announce()
        return done

    async def page(
        self, *, contact: UUID | None, before: tuple[datetime, UUID] | None, limit: int
    ) -> list[Readmission]:
        """Return readmissions, newest first; with `contact` those that made it one."""
        statement = select(readmission).order_by(readmission.c.at.desc(), readmission.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(tuple_(readmission.c.at, readmission.c.id) < tuple_(*map(literal, before)))
        if contact is not None:
            statement = statement.where(readmission.c.contact_id == contact)
        async with self._engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(statement)]


def _stored(row: Row[Any]) -> Readmission:
    return Readmission(row.id, row.contact_id, tuple(row.erasure_ids), row.hashes, row.at, row.by)
