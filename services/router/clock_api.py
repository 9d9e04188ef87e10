"""Running clocks over HTTP: what happens next, to whom, if nobody answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.showing import handoff_json
from services.router.store.clocks import ClockStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.durations import parse_duration
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import page_json, read_cursor
from shared.http.problems import ProblemError

READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)
LONGEST_WITHIN = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class ClockRoutes:
    """The route about running clocks; it has to stand before the one that takes an id in its place."""

    keys: KeyRing
    teams: TeamStore
    clocks: ClockStore
    clock: Clock

    def router(self) -> APIRouter:
        """Return the route."""
        routes = APIRouter(prefix="/v1/handoffs", tags=["handoffs"])
        routes.add_api_route(
            "/clock", self.list, summary="Handoffs whose clock runs, the one whose time ends next first"
        )
        return routes

    async def list(
        self,
        request: Request,
        within: Annotated[
            str | None, Query(max_length=50, description="Only those whose time ends so soon, such as 30m.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        now = self.clock()
        until = now + _read_within(within) if within else None
        found = await self.clocks.page(after=read_cursor(cursor), until=until, limit=limit + 1)
        team = await self.teams.read()
        rows = [
            ((handoff.due_at, handoff.id), handoff_json(handoff, team, now=now)) for handoff in found if handoff.due_at
        ]
        return page_json("handoffs", rows, limit=limit)


def _read_within(written: str) -> timedelta:
    try:
        return min(parse_duration(written), LONGEST_WITHIN)
    except (ValueError, OverflowError) as error:
        raise ProblemError(422, "invalid_query", f"within: {error}") from None
