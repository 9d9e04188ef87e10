"""Deliveries over HTTP: what was sent where, and sending it again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.domain.outcome import Outcome
from services.router.domain.replay import DeliveryState, ReplayRequest, Wanted, replay_mistake
from services.router.showing import attempt_json, delivery_json
from services.router.store.attempts import AttemptStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.replays import Replay, ReplayStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, described, json_response, page_json, read_as, read_body, read_cursor
from shared.http.problems import ProblemError

READERS = (Role.SALES, Role.MARKETING, Role.ADMIN)

_LONGEST_BODY = 65_536


@dataclass(frozen=True, slots=True)
class DeliveryRoutes:
    """The routes under `/v1/deliveries`. `replayed` is called when something is due again."""

    keys: KeyRing
    deliveries: DeliveryStore
    attempt_log: AttemptStore
    replay_store: ReplayStore
    clock: Clock
    replayed: Callable[[], None]

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])
        routes.add_api_route("", self.list, summary="List deliveries, newest first")
        routes.add_api_route(
            "/replay",
            self.replay,
            methods=["POST"],
            summary="Send deliveries again, under the webhook-id that they had",
            openapi_extra=described(ReplayRequest, required=True),
        )
        routes.add_api_route("/replays", self.replays, summary="What is being sent again, and what was")
        routes.add_api_route("/replays/{replay_id}", self.get_replay, summary="How far a replay has come")
        routes.add_api_route(
            "/replays/{replay_id}/cancel", self.cancel, methods=["POST"], summary="End a replay where it is"
        )
        routes.add_api_route("/{delivery_id}", self.get, summary="A delivery and its attempts")
        routes.add_api_route("/{delivery_id}/attempts", self.attempts, summary="The attempts of a delivery")
        return routes

    async def list(
        self,
        request: Request,
        state: Annotated[list[DeliveryState] | None, Query(description="Only those in one of these states.")] = None,
        endpoint: str | None = None,
        outcome: Annotated[Outcome | None, Query(description="Of the last attempt.")] = None,
        handoff: UUID | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        wanted = Wanted(
            state=state or [],
            endpoint=endpoint,
            outcome=outcome,
            handoff=handoff,
            created_from=_aware(created_from),
            created_before=_aware(created_before),
        )
        found = await self.deliveries.page(wanted, before=read_cursor(cursor), limit=limit + 1)
        return page_json("deliveries", [((row.created_at, row.id), delivery_json(row)) for row in found], limit=limit)

    async def get(self, request: Request, delivery_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        row = await self.deliveries.find(delivery_id)
        if row is None:
            raise ProblemError(404, "no_such_delivery", f"There is no delivery {delivery_id}.")
        attempts = await self.attempt_log.of_deliveries([delivery_id])
        return json_response({**delivery_json(row), "log": [attempt_json(attempt) for attempt in attempts]})

    async def attempts(self, request: Request, delivery_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        found = await self.attempt_log.of_deliveries([delivery_id])
        return json_response({"attempts": [attempt_json(row) for row in found]})

    async def replay(self, request: Request) -> Response:
        principal = require(self.keys, request, Role.SALES, Role.ADMIN)
        asked = read_as(ReplayRequest, await read_body(request, most=_LONGEST_BODY))
        if mistake := replay_mistake(asked):
            raise ProblemError(422, "invalid_request", mistake)
        if asked.wanted is not None:
            return await self._begin(asked, asked.wanted, by=principal.name)
        wanted = asked.ids or []
        if asked.dry_run:
            return json_response({"dry_run": True, "would_replay": len(wanted)})
        again = set(await self.deliveries.replay(wanted, now=self.clock()))
        self.replayed()
        # Left are the unknown, those under way, and those about people who want to be left alone or forgotten.
        return json_response(
            {
                "replayed": [item for item in wanted if item in again],
                "left": [item for item in wanted if item not in again],
            }
        )

    async def replays(self, request: Request) -> Response:
        require(self.keys, request, *READERS)
        return json_response({"replays": [replay_json(replay) for replay in await self.replay_store.all()]})

    async def get_replay(self, request: Request, replay_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        return json_response(replay_json(_there(await self.replay_store.find(replay_id), replay_id)))

    async def cancel(self, request: Request, replay_id: UUID) -> Response:
        require(self.keys, request, Role.SALES, Role.ADMIN)
        cancelled = await self.replay_store.cancel(replay_id, now=self.clock())
        return json_response(replay_json(_there(cancelled, replay_id)))

    async def _begin(self, asked: ReplayRequest, wanted: Wanted, *, by: str) -> Response:
        now = self.clock()
        total = await self.deliveries.count(wanted, until=now)
        if asked.dry_run:
            return json_response({"dry_run": True, "would_replay": total})
        replay = await self.replay_store.add(uuid4(), wanted, rate=asked.rate, total=total, by=by, now=now)
        self.replayed()
        return json_response(replay_json(replay), 202)


def replay_json(replay: Replay) -> dict[str, Any]:
    """Return a replay. `left` were looked at and are not for sending: under way, opted out or erased."""
    return {
        "id": replay.id,
        "wanted": replay.wanted,
        "rate": replay.rate,
        "state": replay.state,
        "total": replay.total,
        "replayed": replay.replayed,
        "left": replay.looked_at - replay.replayed,
        "created_at": replay.created_at,
        "created_by": replay.created_by,
        "ended_at": replay.ended_at,
    }


def _there(replay: Replay | None, replay_id: UUID) -> Replay:
    if replay is None:
        raise ProblemError(404, "no_such_replay", f"There is no replay {replay_id}.")
    return replay


def _aware(instant: datetime | None) -> datetime | None:
    if instant is not None and instant.tzinfo is None:
        raise ProblemError(422, "invalid_request", "Give instants with their zone, such as 2026-03-02T10:00:00Z.")
    return instant
