"""Everything that the scorer holds about a contact, over HTTP, however much it is."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response, StreamingResponse

from services.scorer.domain.verdict import Judged
from services.scorer.exporting import export_contact, export_touch
from services.scorer.store.contacts import ContactStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.touches import TouchStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.problems import ProblemError

PAGE = 500  # touches in memory at once


def create_export_routes(
    engine: AsyncEngine,
    *,
    contacts: ContactStore,
    touches: TouchStore,
    handoffs: HandoffStore,
    simulated_leads: SimulatedLeadStore,
    keys: KeyRing,
    clock: Clock,
) -> APIRouter:
    """Build the route that exports a contact."""
    router = APIRouter(prefix="/v1/contacts")

    @router.get("/{contact_id}/export")
    async def export(request: Request, contact_id: UUID) -> Response:
        """Return everything held about the contact, its touches in the order of their ids."""
        require(keys, request, Role.MARKETING, Role.SALES, Role.ADMIN)
        async with engine.connect() as connection:
            found = await contacts.find(connection, contact_id)
            if found is None:
                raise ProblemError(404, "contact_not_found", f"There is no contact {contact_id}.")
            contact_id, state = found
            first = await touches.after(connection, contact_id, after=None, limit=PAGE)
            made = await handoffs.kept_of(connection, contact_id)
            simulated = await simulated_leads.of_contact(connection, contact_id)
        exported = export_contact(contact_id, state, handoffs=made, simulated=simulated, exported_at=clock())
        head = msgspec.json.encode(exported)
        return StreamingResponse(_document(head, contact_id, first), media_type="application/json")

    async def _document(head: bytes, contact_id: UUID, page: list[Judged]) -> AsyncIterator[bytes]:
        """Yield the document page by page. No connection is held while the client reads."""
        yield head[:-1] + b',"touches":['
        separator = b""
        while page:
            yield separator + b",".join(msgspec.json.encode(export_touch(judged)) for judged in page)
            separator = b","
            async with engine.connect() as connection:
                page = await touches.after(connection, contact_id, after=page[-1].touch.id, limit=PAGE)
        yield b"]}"

    return router
