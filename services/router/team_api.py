"""The team over HTTP: set it as a whole, read it as a whole or in parts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.router.domain.addresses import Network
from services.router.domain.route_simulation import EMPTY, simulate_routes
from services.router.domain.team import Team
from services.router.domain.team_diff import team_changes
from services.router.domain.team_reading import LARGEST_TEXT, read_team
from services.router.errors import TeamInvalid
from services.router.showing import team_json
from services.router.store.endpoints import EndpointStore
from services.router.store.handoffs import HandoffStore
from services.router.store.past import PastStore
from services.router.store.teams import TeamStore, without_secrets
from services.router.team_setting import TeamSetter
from shared.clock import Clock
from shared.durations import parse_duration
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import json_response, read_body
from shared.http.problems import ProblemError

MOST_SIMULATED = 5_000  # handoffs; a few seconds of one processor

READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)

_LONGEST_SINCE = timedelta(days=365)
_WRITTEN = {"requestBody": {"required": True, "content": {"application/yaml": {}, "application/json": {}}}}


@dataclass(frozen=True, slots=True)
class TeamRoutes:
    """The routes about the team."""

    keys: KeyRing
    engine: AsyncEngine
    teams: TeamStore
    endpoint_states: EndpointStore
    handoffs: HandoffStore
    setter: TeamSetter
    past: PastStore
    clock: Clock
    allowed_networks: Sequence[Network]

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1", tags=["team"])
        routes.add_api_route(
            "/team",
            self.put,
            methods=["PUT"],
            summary="Make the team what the body says: reps, pools, rules, endpoints",
            openapi_extra=_WRITTEN,
        )
        for name, endpoint, summary in (
            ("check", self.check, "Whether the body is a team; all its mistakes with line and column"),
            ("diff", self.diff, "What would change if the team were set to the body, in words"),
            ("simulate", self.simulate, "Who would have got what of past handoffs, by the rules and pools of the body"),
        ):
            routes.add_api_route(f"/team/{name}", endpoint, methods=["POST"], summary=summary, openapi_extra=_WRITTEN)
        routes.add_api_route("/team", self.get, summary="The team as it is now")
        routes.add_api_route("/reps", self.reps, summary="Who can be given handoffs, and how many are open")
        routes.add_api_route("/pools", self.pools, summary="Who shares handoffs, and what each is owed")
        return routes

    async def put(self, request: Request) -> Response:
        principal = require(self.keys, request, Role.ADMIN)
        declared = await self.declared(request)
        try:
            result = await self.setter.set(declared, by=principal.name)
        except TeamInvalid as error:  # what only the stored team can tell: something to keep that is not there
            raise _invalid(error) from None
        shown = await self._shown(result.team)
        for endpoint in shown["endpoints"]:
            if secret := result.new_secrets.get(endpoint["name"]):
                endpoint["secret"] = secret
        return json_response({**shown, "returned_to_queue": result.returned, "changes": result.changes})

    async def check(self, request: Request) -> Response:
        require(self.keys, request, *READERS)
        team = await self.declared(request)
        return json_response(
            {"valid": True, "reps": len(team.reps), "pools": len(team.pools), "rules": len(team.rules)}
        )

    async def diff(self, request: Request) -> Response:
        require(self.keys, request, Role.SALES, Role.MARKETING, Role.ADMIN)
        declared = without_secrets(await self.declared(request))
        current = await self.teams.read()
        return json_response({"version": current.version, "changes": team_changes(current, declared)})

    async def simulate(
        self,
        request: Request,
        since: Annotated[str, Query(description="How far back, such as 30d; at most 365d.")] = "30d",
        limit: Annotated[int, Query(ge=1, le=MOST_SIMULATED, description="The newest so many.")] = 2000,
    ) -> Response:
        require(self.keys, request, Role.SALES, Role.MARKETING, Role.ADMIN)
        declared, now = await self.declared(request), self.clock()
        past = await self.past.since(now - _read_since(since), limit=limit)
        start = await self.past.standing(past[0].arrived_at) if past else EMPTY
        simulation = await asyncio.to_thread(simulate_routes, declared, past, start=start, until=now)
        return json_response({"since": since, "limit": limit, **msgspec.to_builtins(simulation)})

    async def declared(self, request: Request) -> Team:
        body = await read_body(request, most=LARGEST_TEXT * 4)
        try:
            # Parsing a large team takes a while; the rest of the process goes on meanwhile.
            return await asyncio.to_thread(read_team, body.decode(), allowed=self.allowed_networks)
        except UnicodeDecodeError as error:
            raise ProblemError(422, "invalid_team", f"The team is not UTF-8: byte {error.start}.") from None
        except TeamInvalid as error:
            raise _invalid(error) from None

    async def get(self, request: Request) -> Response:
        return json_response(await self._read(request))

    async def reps(self, request: Request) -> Response:
        return json_response({"reps": (await self._read(request))["reps"]})

    async def pools(self, request: Request) -> Response:
        return json_response({"pools": (await self._read(request))["pools"]})

    async def _read(self, request: Request) -> dict[str, Any]:
        require(self.keys, request, *READERS)
        return await self._shown(await self.teams.read())

    async def _shown(self, team: Team) -> dict[str, Any]:
        async with self.engine.connect() as connection:
            open_handoffs = await self.handoffs.open_counts(connection)
            states = {state.name: state for state in await self.endpoint_states.all(connection)}
        return team_json(team, open_handoffs=open_handoffs, states=states, now=self.clock())


def _invalid(error: TeamInvalid) -> ProblemError:
    mistakes = [
        {"line": item.line, "column": item.column, "at": item.key, "message": item.message} for item in error.mistakes
    ]
    return ProblemError(422, "invalid_team", str(error), mistakes=mistakes)


def _read_since(written: str) -> timedelta:
    try:
        since = parse_duration(written)
    except (ValueError, OverflowError) as error:
        raise ProblemError(422, "invalid_query", f"since: {error}") from None
    return min(since, _LONGEST_SINCE)
