"""Endpoints: what attempts need to know of them, what holds them back, and how they have done lately."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.router.domain.breaker import Breaker
from services.router.domain.endpoint import EndpointEvent
from services.router.store import tables

_endpoint = tables.endpoint.c


class DisabledBecause(StrEnum):
    """Why an endpoint gets nothing although the team has it enabled."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failures for days
    ASKED = "asked"  # somebody said so


@dataclass(frozen=True, slots=True)
class EndpointState:
    """What is stored of an endpoint; its secrets are sealed."""

    name: str
    url: str
    secret: str
    enabled: bool
    removed: bool
    disabled_at: datetime | None
    disabled_because: str | None
    paused_until: datetime | None
    revision: int
    options: Mapping[str, Any]
    retired: Sequence[dict[str, Any]]
    private: str | None
    public_key: str | None
    failures: int
    failing_since: datetime | None
    opens: int
    open_until: datetime | None

    @property
    def breaker(self) -> Breaker:
        """How it has done lately."""
        return Breaker(
            failures=self.failures, failing_since=self.failing_since, opens=self.opens, open_until=self.open_until
        )


@dataclass(frozen=True, slots=True)
class SavedEndpoint:
    """What is written of an endpoint when the team is set."""

    name: str
    url: str
    secret: str
    enabled: bool
    options: Mapping[str, Any]
    retired: Sequence[dict[str, Any]]
    private: str | None
    public_key: str | None
    rate: float | None
    concurrency: int | None
    ordered: bool


_COLUMNS = [tables.endpoint.c[name] for name in EndpointState.__slots__]
_CLOSED = asdict(Breaker())


class EndpointStore:
    """SQL about endpoints, except what a claim asks of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(
        self, connection: AsyncConnection | None = None, *, names: Iterable[str] | None = None
    ) -> list[EndpointState]:
        """Return every endpoint that there ever was, or those of the names."""
        statement = select(*_COLUMNS).order_by(_endpoint.name)
        if names is not None:
            statement = statement.where(_endpoint.name.in_(list(names)))
        if connection is None:
            async with self._engine.connect() as own:
                return await self.all(own, names=names)
        return [EndpointState(**row) for row in (await connection.execute(statement)).mappings()]

    async def lock(self, connection: AsyncConnection, names: Iterable[str]) -> list[EndpointState]:
        """Return these, and keep others from changing them until the transaction ends."""
        statement = select(*_COLUMNS).where(_endpoint.name.in_(list(names))).order_by(_endpoint.name)
        rows = await connection.execute(statement.with_for_update(key_share=True))
        return [EndpointState(**row) for row in rows.mappings()]

    async def save(self, connection: AsyncConnection, endpoints: Sequence[SavedEndpoint]) -> None:
        """Make the endpoints those of the team. What held one back is forgotten, unless somebody had asked for it."""
        statement = insert(tables.endpoint)
        new = statement.excluded
        asked = _endpoint.disabled_because == DisabledBecause.ASKED
        names = [name for name in SavedEndpoint.__slots__ if name != "name"]
        statement = statement.on_conflict_do_update(
            index_elements=["name"],
            set_={
                **{name: getattr(new, name) for name in names},
                "removed": False,
                "disabled_at": case((asked, _endpoint.disabled_at)),
                "disabled_because": case((asked, _endpoint.disabled_because)),
                "paused_until": None,
                "revision": _endpoint.revision + 1,
                **_CLOSED,
            },
        )
        if endpoints:
            # In the order of names, as everybody locks them who locks several.
            ordered = sorted(endpoints, key=lambda endpoint: endpoint.name)
            await connection.execute(statement, [asdict(endpoint) for endpoint in ordered])
        await connection.execute(
            update(tables.endpoint)
            .where(_endpoint.name.not_in([endpoint.name for endpoint in endpoints]))
            .values(removed=True)
        )

    async def save_secrets(
        self,
        connection: AsyncConnection,
        name: str,
        *,
        secret: str,
        retired: Sequence[dict[str, Any]],
        public_key: str | None,
    ) -> None:
        """Replace the secrets of one."""
        await connection.execute(
            update(tables.endpoint)
            .where(_endpoint.name == name)
            .values(secret=secret, retired=retired, public_key=public_key, revision=_endpoint.revision + 1)
        )

    async def disable(
        self, connection: AsyncConnection, names: Iterable[str], *, because: DisabledBecause, now: datetime
    ) -> list[str]:
        """Send nothing more to these; return those that were open until now."""
        rows = await connection.execute(
            update(tables.endpoint)
            .where(_endpoint.name.in_(sorted(names)), _endpoint.disabled_at.is_(None))
            .values(disabled_at=now, disabled_because=because)
            .returning(_endpoint.name)
        )
        return list(rows.scalars())

    async def enable(self, connection: AsyncConnection, name: str) -> None:
        """Send to this one again, at once."""
        await connection.execute(
            update(tables.endpoint)
            .where(_endpoint.name == name)
            .values(disabled_at=None, disabled_because=None, paused_until=None, **_CLOSED)
        )

    async def pause(self, connection: AsyncConnection, name: str, *, until: datetime) -> None:
        """Send nothing to the endpoint until then; a longer pause stays."""
        later = func.greatest(_endpoint.paused_until, until)
        await connection.execute(update(tables.endpoint).where(_endpoint.name == name).values(paused_until=later))

    async def save_breakers(self, connection: AsyncConnection, breakers: Mapping[str, Breaker]) -> None:
        """Write down how endpoints have done; the caller holds their locks."""
        for name, breaker in breakers.items():
            await connection.execute(update(tables.endpoint).where(_endpoint.name == name).values(**asdict(breaker)))

    async def wanting(self, connection: AsyncConnection, event: EndpointEvent) -> list[str]:
        """Return the endpoints that asked for events of this kind."""
        rows = await connection.scalars(
            select(_endpoint.name)
            .where(
                ~_endpoint.removed,
                _endpoint.enabled,
                or_(_endpoint.disabled_at.is_(None), _endpoint.disabled_because != DisabledBecause.GONE),
                func.jsonb_exists(_endpoint.options["events"], str(event)),
            )
            .order_by(_endpoint.name)
        )
        return list(rows)
