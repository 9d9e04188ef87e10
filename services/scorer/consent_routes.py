"""What a contact wants over HTTP: to be left alone, to be heard from again, to be forgotten."""

from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.domain.wishes import wish
from services.scorer.erasing import Eraser
from services.scorer.errors import ContactMissing
from services.scorer.handlers import Scorer
from services.scorer.store.contacts import ContactStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import json_response
from shared.http.problems import ProblemError

_NEXT = (
    "Ingest forgets the aliases, and drops what this person does from now on.",
    "The router cancels what is not delivered and strips the handoffs of personal data.",
    "The endpoints that had the lead are sent `contact.erased`.",
)


def create_consent_routes(
    engine: AsyncEngine, *, scorer: Scorer, eraser: Eraser, contacts: ContactStore, keys: KeyRing, clock: Clock
) -> APIRouter:
    """Build the routes below `/v1/contacts` that change what may be done with a contact."""
    router = APIRouter(prefix="/v1/contacts")

    @router.post("/{contact_id}/opt_out")
    async def opt_out(request: Request, contact_id: UUID) -> Response:
        """Stop scoring the contact, and withdraw what is not delivered."""
        return await say(request, contact_id, opted_out=True)

    @router.post("/{contact_id}/opt_in")
    async def opt_in(request: Request, contact_id: UUID) -> Response:
        """Score the contact again."""
        return await say(request, contact_id, opted_out=False)

    @router.delete("/{contact_id}", status_code=202)
    async def erase(request: Request, contact_id: UUID) -> Response:
        """Erase the contact in all services. It cannot be undone."""
        require(keys, request, Role.ADMIN, Role.MARKETING)
        try:
            erasure, touches = await eraser.erase(contact_id)
        except ContactMissing as error:
            raise _unknown(error) from None
        return json_response(
            {
                "erasure": erasure.id,
                "contact_ids": erasure.contact_ids,
                "erased_at": erasure.at,
                "touches": touches,
                "next": _NEXT,
            },
            202,
        )

    async def say(request: Request, contact_id: UUID, *, opted_out: bool) -> Response:
        principal = require(keys, request, Role.MARKETING, Role.SALES, Role.ADMIN)
        async with engine.connect() as connection:
            if await contacts.find(connection, contact_id) is None:
                raise _unknown(ContactMissing(contact_id))
        at = clock()
        touch = wish(contact_id, opted_out=opted_out, by=principal.name, role=principal.role, at=at)
        await scorer.take(touch)
        async with engine.connect() as connection:
            found = await contacts.find(connection, contact_id)
        if found is None:  # erased in the meantime
            raise _unknown(ContactMissing(contact_id))
        contact_id, state = found
        # The newest word counts, and somebody's clock may be ahead of ours.
        return json_response({"id": contact_id, "opted_out": state.is_opted_out, "said_by": principal.name, "at": at})

    return router


def _unknown(error: ContactMissing) -> ProblemError:
    return ProblemError(404, "contact_not_found", str(error))
