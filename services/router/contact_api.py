"""What the router holds about a contact, over HTTP."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.showing import decisions_json, history_json, whole_handoff_json
from services.router.store.attempts import AttemptStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import page_json, read_cursor


@dataclass(frozen=True, slots=True)
class ContactRoutes:
    """The routes under `/v1/contacts` that the router answers."""

    keys: KeyRing
    teams: TeamStore
    handoffs: HandoffStore
    deliveries: DeliveryStore
    attempts: AttemptStore
    clock: Clock
    public_url: str

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/contacts", tags=["handoffs"])
        routes.add_api_route(
            "/{contact_id}/handoffs/export", self.export, summary="Everything held about the handoffs of a contact"
        )
        return routes

    async def export(
        self,
        request: Request,
        contact_id: UUID,
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, Role.MARKETING, Role.SALES, Role.ADMIN)
        found = await self.handoffs.of_contact(contact_id, before=read_cursor(cursor), limit=limit + 1)
        rows = [((handoff.created_at, handoff.id), await self._whole(handoff)) for handoff in found]
        return page_json("handoffs", rows, limit=limit)

    async def _whole(self, handoff: Handoff) -> dict[str, Any]:
        history = await self.handoffs.history(handoff.id)
        deliveries = await self.deliveries.of_handoff(handoff.id)
        shown = whole_handoff_json(
            handoff,
            team=await self.teams.read(),
            history=history_json(handoff, history),
            deliveries=deliveries,
            attempts=await self.attempts.of_deliveries(row.id for row in deliveries),
            public_url=self.public_url,
            now=self.clock(),
        )
        # The document holds more than is shown: the touches and words that the decision was based on.
        return {
            **shown,
            "decisions": decisions_json(handoff, history),
            "document": msgspec.to_builtins(handoff.ready),
        }
