"""Sources over HTTP: add, change, rotate keys, disable. Keys are shown once, secrets never."""

import secrets as randomness
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.ingest.domain.quota import day_of
from services.ingest.domain.source import Allowance, Source
from services.ingest.domain.source_key import PREFIX, rotated, source_key
from services.ingest.intake.hooks.providers import problems_of
from services.ingest.metering import Meter
from services.ingest.source_keeper import SourceKeeper
from services.ingest.source_reading import (
    MAX_BODY,
    NewSource,
    Rotation,
    SourceChange,
    check_storable,
)
from services.ingest.sources import SourceDirectory
from services.ingest.store.sources import SourceStore, StoredSource
from shared.clock import Clock
from shared.durations import parse_duration
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, described, json_response, read_as, read_body
from shared.http.problems import ProblemError
from shared.secrets import SecretBox, SecretsError

READERS = (Role.ADMIN, Role.MARKETING)
LONGEST_OVERLAP = timedelta(days=90)

Cursor = Annotated[str, Query(description="`next` of the page before.", max_length=200)]


@dataclass(frozen=True, slots=True)
class SourceRoutes:
    """The routes about sources."""

    keys: KeyRing
    engine: AsyncEngine
    secrets: SecretBox
    keeper: SourceKeeper
    directory: SourceDirectory
    meter: Meter
    clock: Clock
    overlap: timedelta
    store: SourceStore

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/sources", tags=["sources"])
        added = described(NewSource, required=True)
        routes.add_api_route("", self.page, summary="All sources, by name")
        routes.add_api_route(
            "",
            self.add,
            methods=["POST"],
            status_code=201,
            openapi_extra=added,
            summary="Add a source; shows its key",
        )
        routes.add_api_route("/{name}", self.show, summary="A source, its limits and its keys")
        changed = described(SourceChange, required=True)
        routes.add_api_route(
            "/{name}", self.change, methods=["PATCH"], openapi_extra=changed, summary="Change a source"
        )
        rotation = described(Rotation, required=False)
        routes.add_api_route(
            "/{name}/rotate",
            self.rotate,
            methods=["POST"],
            openapi_extra=rotation,
            summary="Give it a new key; shows it",
        )
        routes.add_api_route("/{name}/disable", self.disable, methods=["POST"], summary="Refuse what it sends")
        routes.add_api_route("/{name}/enable", self.enable, methods=["POST"], summary="Take what it sends again")
        return routes

    async def page(self, request: Request, limit: Limit = 100, cursor: Cursor = "") -> Response:
        require(self.keys, request, *READERS)
        async with self.engine.connect() as connection:
            stored = {one.source.name: self._shown(one) for one in await self.store.all(connection)}
        shown = {**stored, **{name: self._of_file(source) for name, source in self.directory.in_file().items()}}
        names = sorted(name for name in shown if name > cursor)
        following = names[limit - 1] if len(names) > limit else None
        return json_response({"sources": [shown[name] for name in names[:limit]], "next": following})

    async def show(self, request: Request, name: str) -> Response:
        require(self.keys, request, *READERS)
        if source := self.directory.in_file().get(name):
            return json_response(self._of_file(source))
        async with self.engine.connect() as connection:
            return json_response(self._shown(_found(await self.store.find(connection, _storable(name)), name)))

    async def add(self, request: Request) -> Response:
        principal = require(self.keys, request, Role.ADMIN)
        new = read_as(NewSource, await read_body(request, most=MAX_BODY))
        check_storable(new)
        self._not_in_file(new.name)
        key, now = _new_key(), self.clock()
        stored = StoredSource(
            source=Source(
                name=new.name,
                kind=new.kind,
                provider=new.provider,
                mapping=new.mapping,
                requires_consent=new.requires_consent,
                allowance=new.allowance(),
            ),
            sealed=self._sealed(new.secrets),
            created_at=now,
            created_by=principal.name,
            keys=(source_key(key, now),),
        )
        _check_usable(msgspec.structs.replace(stored.source, secrets=tuple(new.secrets)))
        async with self._writing() as connection:
            if not await self.store.add(connection, stored):
                raise ProblemError(409, "source_exists", f"There is a source {new.name!r} already.")
        return json_response({**self._shown(stored), "key": key}, 201)

    async def change(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        self._not_in_file(name)
        change = read_as(SourceChange, await read_body(request, most=MAX_BODY))
        check_storable(change)
        values = change.values()
        given = tuple(values.get("secrets", ()))
        if "secrets" in values:
            values["secrets"] = list(self._sealed(values["secrets"]))
        return await self._changed(name, values, secrets=given)

    async def rotate(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        self._not_in_file(name)
        overlap = self._overlap(read_as(Rotation, await read_body(request, most=MAX_BODY) or b"{}").overlap)
        key, now = _new_key(), self.clock()
        async with self._writing() as connection:
            stored = _found(await self.store.find(connection, _storable(name), lock=True), name)
            keys = rotated(stored.keys, source_key(key, now), now=now, overlap=overlap)
            await self.store.replace_keys(connection, name, keys)
        return json_response({**self._shown(msgspec.structs.replace(stored, keys=keys)), "key": key})

    async def disable(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        self._not_in_file(name)
        return await self._changed(name, {"disabled_at": self.clock()})

    async def enable(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        self._not_in_file(name)
        return await self._changed(name, {"disabled_at": None})

    async def _changed(self, name: str, values: dict[str, Any], *, secrets: tuple[str, ...] = ()) -> Response:
        async with self._writing() as connection:
            before = _found(await self.store.find(connection, _storable(name), lock=True), name)
            if values.get("disabled_at") and before.source.disabled_at:
                values = {}  # it stays disabled since when it was
            if values.keys() & {"provider", "secrets", "mapping"}:
                told = {field: values[field] for field in ("provider", "mapping") if field in values}
                _check_usable(msgspec.structs.replace(before.source, secrets=secrets, **told))
            await self.store.change(connection, name, values)
            stored = _found(await self.store.find(connection, name), name)
        return json_response(self._shown(stored))

    def _overlap(self, given: str | None) -> timedelta:
        if given is None:
            return self.overlap
        try:
            overlap = parse_duration(given)
        except (ValueError, OverflowError) as error:
            raise ProblemError(422, "invalid_request", f"The overlap is wrong: {error}.") from None
        if overlap > LONGEST_OVERLAP:
            raise ProblemError(422, "invalid_request", f"An overlap is at most {LONGEST_OVERLAP.days}d.")
        return overlap

    def _sealed(self, secrets: list[str]) -> tuple[str, ...]:
        try:
            return tuple(self.secrets.seal(secret) for secret in secrets)
        except SecretsError as error:
            raise ProblemError(422, "no_secret_key", str(error)) from None

    def _not_in_file(self, name: str) -> None:
        if name in self.directory.in_file():
            raise ProblemError(409, "source_in_file", f"The keys file names the source {name!r}; change it there.")

    def _shown(self, stored: StoredSource) -> dict[str, Any]:
        now = self.clock()
        keys = [
            {"hint": f"{key.hint}…", "created_at": key.created_at, "expires_at": key.expires_at}
            for key in stored.keys
            if key.holds(now)
        ]
        more = {"created_at": stored.created_at, "created_by": stored.created_by, "keys": keys}
        return {**self._described(stored.source, "database", len(stored.sealed)), **more}

    def _of_file(self, source: Source) -> dict[str, Any]:
        return self._described(source, "file", len(source.secrets))

    def _described(self, source: Source, origin: str, secrets: int) -> dict[str, Any]:
        return {
            "name": source.name,
            "kind": source.kind,
            "origin": origin,
            "disabled_at": source.disabled_at,
            "provider": source.provider,
            "secrets": secrets,
            "mapping": source.mapping,
            "requires_consent": source.requires_consent,
            **{field: getattr(source.allowance, field) for field in Allowance.__struct_fields__},
            "used_today": self.meter.used(source.name, day_of(self.clock())),
        }

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction; what it changed, this process knows at once and the others after an interval."""
        async with self.engine.begin() as connection:
            yield connection
        await self.keeper.hurry()


def _new_key() -> str:
    return PREFIX + randomness.token_urlsafe(24)


def _found(stored: StoredSource | None, name: str) -> StoredSource:
    if stored is None:
        raise ProblemError(404, "source_missing", f"There is no source {name!r}.")
    return stored


def _storable(name: str) -> str:
    """Return the name without what PostgreSQL cannot be asked for; no source has such a name."""
    return name.replace("\0", "?")


def _check_usable(source: Source) -> None:
    """Raise a 422 problem for a provider, a secret or a mapping that cannot be used; it names everything wrong."""
    if problems := problems_of(source):
        raise ProblemError(422, "invalid_source", " ".join(problems), problems=problems)
