"""What ingest knows about a contact, over HTTP: the names it goes by."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.ingest.store.aliases import Aliases
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import json_response
from shared.ids import ContactId


def contact_routes(aliases: Aliases, keys: KeyRing) -> APIRouter:
    """Build the routes below `/v1/contacts` that ingest answers."""
    router = APIRouter(prefix="/v1/contacts", tags=["contacts"])

    @router.get("/{contact_id}/aliases")
    async def read_aliases(request: Request, contact_id: UUID) -> Response:
        """Return the aliases that name the contact, and since when."""
        require(keys, request, Role.MARKETING, Role.SALES, Role.ADMIN)
        named = await aliases.of_contact(ContactId(contact_id))
        return json_response({"id": contact_id, "aliases": named})

    return router
