"""Verdicts over HTTP: a person says that a touch counts after all, or that it does not."""

from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.errors import TouchMissing
from services.scorer.overruling import Overruling
from services.scorer.showing import show_touch
from services.scorer.store.agreements import AgreementStore
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import json_response
from shared.http.problems import ProblemError

_JUDGES = (Role.MARKETING, Role.SALES, Role.ADMIN)


def create_verdict_routes(
    overruling: Overruling, engine: AsyncEngine, *, agreements: AgreementStore, keys: KeyRing
) -> APIRouter:
    """Build the routes below `/v1/contacts/{id}/touches/{touch_id}`."""
    router = APIRouter(prefix="/v1/contacts/{contact_id}/touches/{touch_id}")

    @router.post("/trust")
    async def trust_touch(request: Request, contact_id: UUID, touch_id: UUID) -> Response:
        """Let the touch count, whatever speaks against it. The contact is decided anew at once."""
        return await overruled(request, contact_id, touch_id, trusted=True)

    @router.post("/distrust")
    async def distrust_touch(request: Request, contact_id: UUID, touch_id: UUID) -> Response:
        """Let the touch count nothing, whoever made it. The contact is decided anew at once."""
        return await overruled(request, contact_id, touch_id, trusted=False)

    async def overruled(request: Request, contact_id: UUID, touch_id: UUID, *, trusted: bool) -> Response:
        by = require(keys, request, *_JUDGES).name
        try:
            judged = await overruling.overrule(contact_id, touch_id, trusted=trusted, by=by)
        except TouchMissing as missing:
            raise ProblemError(404, "touch_not_found", str(missing)) from None
        async with engine.connect() as connection:
            active = await agreements.active(connection)
        return json_response(show_touch(judged, active.terms if active else None))

    return router
