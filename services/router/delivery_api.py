"""Deliveries over HTTP: what was sent where, and sending it again."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy import Row
from starlette.responses import Response

from services.router.pages import json_response, page_json, read_body, read_cursor
from services.router.store.deliveries import DeliveryStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.problems import ProblemError

_READERS = (Role.SALES, Role.MARKETING, Role.ADMIN)
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


def create_delivery_routes(*, keys: KeyRing, deliveries: DeliveryStore, clock: Clock, replayed: Any) -> APIRouter:
    """Build the routes under `/v1/deliveries`. `replayed` is called when something is due again."""
    routes = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

    @routes.get("", summary="List deliveries, newest first")
    async def list_deliveries(
        request: Request,
        state: Annotated[list[DeliveryState], Query(description="Only those in one of these states.")] = [],  # noqa: B006
        endpoint: str | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> Response:
        require(keys, request, *_READERS)
        found = await deliveries.page(states=state, endpoint=endpoint, before=read_cursor(cursor), limit=limit + 1)
        return page_json("deliveries", [((row.created_at, row.id), delivery_json(row)) for row in found], limit=limit)

    @routes.get("/{delivery_id}/attempts", summary="Every attempt of a delivery, first to last")
    async def list_attempts(request: Request, delivery_id: UUID) -> Response:
        require(keys, request, *_READERS)
        return json_response({"attempts": [attempt_json(row) for row in await deliveries.attempts([delivery_id])]})

    @routes.post(
        "/replay",
        summary="Send dead or delivered messages again, under the webhook-id that they had",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": msgspec.json.schema(Replay)["$defs"]["Replay"]}},
            }
        },
    )
    async def replay(request: Request) -> Response:
        require(keys, request, Role.SALES, Role.ADMIN)
        body = await read_body(request, most=_MOST_REPLAYED * 64)
        try:
            wanted = msgspec.json.decode(body, type=Replay).ids
        except (ValueError, RecursionError) as error:
            raise ProblemError(422, "invalid_request", f"Send the ids of deliveries: {error}.") from None
        again = set(await deliveries.replay(wanted, now=clock()))
        replayed()
        # Unknown, under way, or about somebody who wants to be left alone.
        return json_response(
            {
                "replayed": [item for item in wanted if item in again],
                "left": [item for item in wanted if item not in again],
            }
        )

    return routes


def delivery_json(row: Row[Any]) -> dict[str, Any]:
    """Return a delivery as lists show it."""
    return {
        "id": row.id,
        "webhook_id": row.message_id,
        "endpoint": row.endpoint,
        "handoff": row.handoff_id,
        "state": row.state,
        "attempts": row.attempts,
        "last_outcome": row.last_outcome,
        "created_at": row.created_at,
        "next_attempt_at": row.due_at if row.state == DeliveryState.PENDING else None,
        "ended_at": row.ended_at,
    }


def attempt_json(row: Row[Any]) -> dict[str, Any]:
    """Return an attempt."""
    return {
        "number": row.number,
        "started_at": row.started_at,
        "duration_ms": row.duration_ms,
        "outcome": row.outcome,
        "status": row.status,
        "error": row.error,
        "response": row.response,
        "peer": row.peer,
        "next_attempt_at": row.next_attempt_at,
    }
