"""The team over HTTP: set it as a whole, read it as a whole or in parts."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.router.domain.addresses import Network
from services.router.domain.team import Team
from services.router.domain.team_reading import LARGEST_TEXT, read_team
from services.router.errors import TeamInvalid
from services.router.pages import json_response, read_body
from services.router.store.handoffs import HandoffStore
from services.router.store.teams import EndpointState, TeamStore
from services.router.team_setting import TeamSetter
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.problems import ProblemError

_READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)


def create_team_routes(
    *,
    keys: KeyRing,
    engine: AsyncEngine,
    teams: TeamStore,
    handoffs: HandoffStore,
    setter: TeamSetter,
    clock: Clock,
    allowed_networks: Sequence[Network],
) -> APIRouter:
    """Build the routes about the team."""
    routes = APIRouter(prefix="/v1", tags=["team"])

    @routes.put(
        "/team",
        summary="Make the team what the body says: reps, pools, rules, endpoints",
        openapi_extra={"requestBody": {"required": True, "content": {"application/yaml": {}, "application/json": {}}}},
    )
    async def put_team(request: Request) -> Response:
        principal = require(keys, request, Role.ADMIN)
        body = await read_body(request, most=LARGEST_TEXT * 4)
        try:
            # Parsing a large team takes a while; the rest of the process goes on meanwhile.
            declared = await asyncio.to_thread(read_team, body.decode(), allowed=allowed_networks)
        except UnicodeDecodeError as error:
            raise ProblemError(422, "invalid_team", f"The team is not UTF-8: byte {error.start}.") from None
        except TeamInvalid as error:
            mistakes = [
                {"line": item.line, "column": item.column, "at": item.key, "message": item.message}
                for item in error.mistakes
            ]
            raise ProblemError(422, "invalid_team", str(error), mistakes=mistakes) from None
        result = await setter.set(declared, by=principal.name)
        shown = await everything(result.team)
        for endpoint in shown["endpoints"]:
            if secret := result.new_secrets.get(endpoint["name"]):
                endpoint["secret"] = secret
        return json_response({**shown, "returned_to_queue": result.returned})

    @routes.get("/team", summary="The team as it is now")
    async def get_team(request: Request) -> Response:
        require(keys, request, *_READERS)
        return json_response(await everything(await teams.read()))

    @routes.get("/reps", summary="Who can be given handoffs, and how many each has open")
    async def get_reps(request: Request) -> Response:
        require(keys, request, *_READERS)
        return json_response({"reps": (await everything(await teams.read()))["reps"]})

    @routes.get("/pools", summary="Who shares handoffs, and what each member is owed")
    async def get_pools(request: Request) -> Response:
        require(keys, request, *_READERS)
        return json_response({"pools": (await everything(await teams.read()))["pools"]})

    @routes.get("/endpoints", summary="Where webhooks go, and whether they can")
    async def get_endpoints(request: Request) -> Response:
        require(keys, request, *_READERS)
        return json_response({"endpoints": (await everything(await teams.read()))["endpoints"]})

    async def everything(team: Team) -> dict[str, Any]:
        async with engine.connect() as connection:
            open_handoffs = await handoffs.open_counts(connection)
            states = {state.name: state for state in await teams.endpoints(connection)}
        return team_json(team, open_handoffs=open_handoffs, states=states, now=clock())

    return routes


def team_json(
    team: Team, *, open_handoffs: dict[str, int], states: dict[str, EndpointState], now: datetime
) -> dict[str, Any]:
    """Return the team with what it is doing now, and without a secret."""
    return {
        "version": team.version,
        "reps": [
            {
                "name": rep.name,
                "email": rep.email,
                "capacity": rep.capacity,
                "away": rep.away,
                "open": open_handoffs.get(rep.name, 0),
            }
            for rep in team.reps
        ],
        "pools": [
            {
                "name": pool.name,
                "members": [
                    {
                        "rep": member.rep,
                        "weight": member.weight,
                        "owed": team.owed.get(pool.name, {}).get(member.rep, 0.0),
                    }
                    for member in pool.members
                ],
            }
            for pool in team.pools
        ],
        "rules": [
            {"when": {condition.field: condition.any_of for condition in rule.when}, "pool": rule.pool}
            for rule in team.rules
        ],
        "default_pool": team.default_pool,
        "endpoints": [
            {
                "name": endpoint.name,
                "url": endpoint.url,
                "pools": endpoint.pools,
                "reps": endpoint.reps,
                "enabled": endpoint.enabled,
                "status": _status(states.get(endpoint.name), now),
            }
            for endpoint in team.endpoints
        ],
    }


def _status(state: EndpointState | None, now: datetime) -> str:
    if state is None or not state.enabled:
        return "disabled"
    if state.disabled_at is not None:
        return "gone"  # answered 410; set the team again to try anew
    return "paused" if state.paused_until and state.paused_until > now else "open"
