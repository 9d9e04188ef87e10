"""Shadows over HTTP: let a draft decide silently, and see day by day how it differs from the active agreement."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.scorer.agreement_answering import Number, told
from services.scorer.answering import encode_cursor, number_cursor
from services.scorer.domain.leads import LeadKind
from services.scorer.errors import ShadowMissing
from services.scorer.shadowing import Shadowing
from services.scorer.simulation_showing import show_lead, show_shadow
from services.scorer.store.contacts import ContactStore
from services.scorer.store.shadows import Shadow, ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from shared.http.documents import problem_response
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Cursor, Limit, json_response

_STARTERS = (Role.MARKETING, Role.SALES)
_READERS = (*_STARTERS, Role.ADMIN)

Kind = Annotated[list[LeadKind], Query(description="Which leads; may be given again.")]


def create_shadow_routes(
    engine: AsyncEngine,
    *,
    shadowing: Shadowing,
    shadows: ShadowStore,
    leads: SimulatedLeadStore,
    contacts: ContactStore,
    keys: KeyRing,
) -> APIRouter:
    """Build the routes. They come before those of single versions, one of which would take `shadow` for a number."""
    router = APIRouter(prefix="/v1/agreements")

    @router.get("/shadow", responses={404: problem_response("No draft decided silently yet.")})
    async def read_shadow(request: Request) -> Response:
        """Return the draft that decides silently, or that did last, compared day by day."""
        require(keys, request, *_READERS)
        async with engine.connect() as connection:
            with told():
                found = await _newest(connection)
            shown = await show_shadow(connection, leads, found)
        return json_response(shown)

    @router.get("/shadow/leads", responses={404: problem_response("No draft decided silently yet.")})
    async def list_leads(
        request: Request,
        kind: Kind = [LeadKind.GAINED, LeadKind.LOST],  # noqa: B006  # FastAPI copies it
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List the leads in which the two differ, with names and reasons, or those of the kinds asked for."""
        require(keys, request, *_READERS)
        after = number_cursor(cursor) or 0
        async with engine.connect() as connection:
            with told():
                found = await _newest(connection)
            rows = await leads.page(connection, found.id, kinds=kind, after=after, limit=limit + 1)
            shown = [await show_lead(connection, contacts, row) for row in rows[:limit]]
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return json_response({"leads": shown, "next": encode_cursor(more)})

    @router.post("/{version}/shadow", status_code=201)
    async def start(request: Request, version: Number) -> Response:
        """Let a draft decide silently from now on, in place of the one that does."""
        principal = require(keys, request, *_STARTERS)
        async with engine.begin() as connection:
            with told():
                started = await shadowing.start(connection, version, by=principal.name)
            shown = await show_shadow(connection, leads, started)
        return json_response(shown, 201)

    @router.delete("/{version}/shadow")
    async def stop(request: Request, version: Number) -> Response:
        """Let the draft decide no more; what it was compared on stays."""
        principal = require(keys, request, *_STARTERS)
        async with engine.begin() as connection:
            with told():
                stopped = await shadowing.stop(connection, version, by=principal.name)
            shown = await show_shadow(connection, leads, stopped)
        return json_response(shown)

    async def _newest(connection: AsyncConnection) -> Shadow:
        found = await shadows.newest(connection)
        if found is None:
            raise ShadowMissing("No draft decided silently yet. Start one with POST /v1/agreements/{version}/shadow.")
        return found

    return router
