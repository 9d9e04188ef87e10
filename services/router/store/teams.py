"""The team, as one document under one lock, and the endpoints' secrets and states beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.team import Endpoint, Team
from services.router.store import tables

_NOT_IN_DOCUMENT = ("version", "owed")

_LOCK = select(tables.team).with_for_update()  # built once: every assignment begins with it


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What became of an endpoint since the team named it."""

    name: str
    url: str
    secret: str
    enabled: bool
    removed: bool
    disabled_at: datetime | None
    paused_until: datetime | None


class TeamStore:
    """All SQL about the team."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self) -> Team:
        """Return the team as it is now."""
        async with self._engine.connect() as connection:
            return _team((await connection.execute(select(tables.team))).one())

    async def lock(self, connection: AsyncConnection) -> Team:
        """Return the team and keep everybody else from assigning or changing it until the transaction ends.

        Take it before any handoff is locked, so that nobody waits in a circle.
        """
        return _team((await connection.execute(_LOCK)).one())

    async def save(self, connection: AsyncConnection, team: Team, *, by: str, now: datetime) -> None:
        """Replace the team."""
        document = msgspec.to_builtins(team)
        await connection.execute(
            update(tables.team).values(
                version=team.version,
                document={key: value for key, value in document.items() if key not in _NOT_IN_DOCUMENT},
                owed=document["owed"],
                changed_at=now,
                changed_by=by,
            )
        )

    async def save_owed(self, connection: AsyncConnection, owed: Mapping[str, Mapping[str, float]]) -> None:
        """Replace what the pools owe their members."""
        await connection.execute(update(tables.team).values(owed=owed))

    async def endpoints(self, connection: AsyncConnection | None = None) -> list[EndpointState]:
        """Return every endpoint that there ever was."""
        statement = select(tables.endpoint).order_by(tables.endpoint.c.name)
        if connection is not None:
            return [EndpointState(**row) for row in (await connection.execute(statement)).mappings()]
        async with self._engine.connect() as own:
            return [EndpointState(**row) for row in (await own.execute(statement)).mappings()]

    async def save_endpoints(
        self, connection: AsyncConnection, endpoints: Sequence[Endpoint], secrets: Mapping[str, str]
    ) -> None:
        """Make the endpoints those of the team; what a receiver had disabled or paused is open again."""
        statement = insert(tables.endpoint)
        new = statement.excluded
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "url": new.url,
                "secret": new.secret,
                "enabled": new.enabled,
                "removed": False,
                "disabled_at": None,
                "paused_until": None,
            },
        )
        if endpoints:
            await connection.execute(
                statement,
                [
                    {
                        "name": endpoint.name,
                        "url": endpoint.url,
                        "secret": secrets[endpoint.name],
                        "enabled": endpoint.enabled,
                    }
                    for endpoint in endpoints
                ],
            )
        await connection.execute(
            update(tables.endpoint)
            .where(tables.endpoint.c.name.not_in([endpoint.name for endpoint in endpoints]))
            .values(removed=True)
        )

    async def disable_endpoint(self, connection: AsyncConnection, name: str, *, now: datetime) -> None:
        """Send nothing more to the endpoint until the team is set again."""
        await connection.execute(update(tables.endpoint).where(tables.endpoint.c.name == name).values(disabled_at=now))

    async def pause_endpoint(self, connection: AsyncConnection, name: str, *, until: datetime) -> None:
        """Send nothing to the endpoint until then."""
        await connection.execute(
            update(tables.endpoint).where(tables.endpoint.c.name == name).values(paused_until=until)
        )


def without_secrets(team: Team) -> Team:
    """Return the team as it is stored and shown."""
    return replace(team, endpoints=tuple(replace(endpoint, secret=None) for endpoint in team.endpoints))


def _team(row: Any) -> Team:
    return msgspec.convert({**row.document, "version": row.version, "owed": row.owed}, Team)
