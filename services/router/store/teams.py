"""The team, as one document under one lock."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.team import Team
from services.router.store import tables

_NOT_IN_DOCUMENT = ("version", "owed")

_LOCK = select(tables.team).with_for_update()  # built once: every assignment begins with it


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


def without_secrets(team: Team) -> Team:
    """Return the team as it is stored and shown."""
    return replace(team, endpoints=tuple(endpoint.without_secrets() for endpoint in team.endpoints))


def _team(row: Any) -> Team:
    return msgspec.convert({**row.document, "version": row.version, "owed": row.owed}, Team)
