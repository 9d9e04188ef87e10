"""Deliveries over HTTP: what was sent where, and sending it again."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.showing import attempt_json, delivery_json
from services.router.store.attempts import AttemptStore
from services.router.store.deliveries import DeliveryStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import described, json_response, page_json, read_as, read_body, read_cursor

READERS = (Role.SALES, Role.MARKETING, Role.ADMIN)

_MOST_REPLAYED = 1000


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """Which deliveries to send again."""

    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=_MOST_REPLAYED)]


@dataclass(frozen=True, slots=True)
class DeliveryRoutes:
    """The routes under `/v1/deliveries`. `replayed` is called when something is due again."""

    keys: KeyRing
    deliveries: DeliveryStore
    attempt_log: AttemptStore
    clock: Clock
    replayed: Callable[[], None]

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])
        routes.add_api_route("", self.list, summary="List deliveries, newest first")
        routes.add_api_route("/{delivery_id}/attempts", self.attempts, summary="The attempts of a delivery")
        routes.add_api_route(
            "/replay",
            self.replay,
            methods=["POST"],
            summary="Send dead or delivered messages again, under the webhook-id that they had",
            openapi_extra=described(Replay, required=True),
        )
        return routes

    async def list(
        self,
        request: Request,
        state: Annotated[list[DeliveryState] | None, Query(description="Only those in one of these states.")] = None,
        endpoint: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        found = await self.deliveries.page(
            states=state or (), endpoint=endpoint, before=read_cursor(cursor), limit=limit + 1
        )
        return page_json("deliveries", [((row.created_at, row.id), delivery_json(row)) for row in found], limit=limit)

    async def attempts(self, request: Request, delivery_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        found = await self.attempt_log.of_deliveries([delivery_id])
        return json_response({"attempts": [attempt_json(row) for row in found]})

    async def replay(self, request: Request) -> Response:
        require(self.keys, request, Role.SALES, Role.ADMIN)
        wanted = read_as(Replay, await read_body(request, most=_MOST_REPLAYED * 64)).ids
        again = set(await self.deliveries.replay(wanted, now=self.clock()))
        self.replayed()
        # Left are the unknown, those under way, and those about people who want to be left alone or forgotten.
        return json_response(
            {
                "replayed": [item for item in wanted if item in again],
                "left": [item for item in wanted if item not in again],
            }
        )
