"""Endpoints over HTTP: how they do, on and off, a new secret, and a try."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.router.attempting import Attempted
from services.router.domain.outcome import Outcome
from services.router.endpoint_keeping import LONGEST_OVERLAP, OVERLAP, EndpointKeeper
from services.router.endpoint_showing import endpoint_json
from services.router.errors import EndpointMissing, EndpointRefuses
from services.router.store.endpoints import EndpointStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.durations import format_duration, parse_duration
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import described, json_response, read_as, read_body
from shared.http.problems import ProblemError
from shared.secrets import SecretsError

READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)

_LONGEST_BODY = 4096

T = TypeVar("T")


class Rotation(msgspec.Struct, forbid_unknown_fields=True):
    """How a secret is replaced: the old one signs too for `overlap`; `secret` is one of your own."""

    overlap: str = format_duration(OVERLAP)
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointRoutes:
    """The routes under `/v1/endpoints`."""

    keys: KeyRing
    teams: TeamStore
    endpoints: EndpointStore
    keeper: EndpointKeeper
    clock: Clock

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/endpoints", tags=["endpoints"])
        routes.add_api_route("", self.list_all, summary="Where webhooks go, and whether they can")
        routes.add_api_route("/{name}", self.get, summary="An endpoint and how it does")
        for action, handler, summary in (
            ("enable", self.enable, "Send to it again; what waited goes out"),
            ("disable", self.disable, "Send nothing more to it; what is for it waits"),
            ("test", self.test, "Send a message that means nothing, once and now, and show what came of it"),
        ):
            routes.add_api_route(f"/{{name}}/{action}", handler, methods=["POST"], summary=summary)
        routes.add_api_route(
            "/{name}/rotate-secret",
            self.rotate,
            methods=["POST"],
            summary="Give it a new secret; the old one signs too for a while",
            openapi_extra=described(Rotation, required=False),
        )
        return routes

    async def list_all(self, request: Request) -> Response:
        require(self.keys, request, *READERS)
        return json_response({"endpoints": await self._shown()})

    async def get(self, request: Request, name: str) -> Response:
        require(self.keys, request, *READERS)
        return json_response(await self._one(name))

    async def enable(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        await _allowed(lambda: self.keeper.enable(name))
        return json_response(await self._one(name))

    async def disable(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        await _allowed(lambda: self.keeper.disable(name))
        return json_response(await self._one(name))

    async def test(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        return json_response(_attempted_json(await _allowed(lambda: self.keeper.test(name))))

    async def rotate(self, request: Request, name: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        body = await read_body(request, most=_LONGEST_BODY)
        asked = read_as(Rotation, body) if body.strip() else Rotation()
        overlap = _overlap(asked.overlap)
        rotated = await _allowed(lambda: self.keeper.rotate(name, overlap=overlap, secret=asked.secret))
        return json_response(
            {
                **await self._one(name),
                **({"secret": rotated.secret} if rotated.secret else {}),
                "old_signature_until": rotated.until,
            }
        )

    async def _one(self, name: str) -> dict[str, Any]:
        for shown in await self._shown():
            if shown["name"] == name:
                return shown
        raise _missing(EndpointMissing(name))

    async def _shown(self) -> list[dict[str, Any]]:
        team = await self.teams.read()
        states = {state.name: state for state in await self.endpoints.all()}
        return [endpoint_json(endpoint, states.get(endpoint.name), now=self.clock()) for endpoint in team.endpoints]


async def _allowed(work: Callable[[], Awaitable[T]]) -> T:
    try:
        return await work()
    except EndpointMissing as error:
        raise _missing(error) from None
    except EndpointRefuses as error:
        raise ProblemError(409, "endpoint_refuses", str(error)) from None
    except SecretsError as error:
        raise ProblemError(409, "secret_key", str(error)) from None


def _missing(error: EndpointMissing) -> ProblemError:
    return ProblemError(404, "no_such_endpoint", str(error))


def _overlap(written: str) -> timedelta:
    try:
        overlap = timedelta() if written == "0" else parse_duration(written)
    except (ValueError, OverflowError):
        raise ProblemError(422, "invalid_request", f"{written!r} is not a duration such as 24h, or 0.") from None
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise ProblemError(422, "invalid_request", f"An overlap is at most {format_duration(LONGEST_OVERLAP)}.")
    return overlap


def _attempted_json(attempted: Attempted) -> dict[str, Any]:
    reply = attempted.reply
    return {
        "delivered": reply.outcome is Outcome.DELIVERED,
        "outcome": reply.outcome,
        "status": reply.status,
        "error": reply.error,
        "response": reply.excerpt.decode(errors="replace"),
        "peer": reply.peer,
        "phases": reply.phases,
        "request_headers": attempted.headers,
    }
