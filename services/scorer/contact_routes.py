"""Contacts over HTTP: their scores explained, and what they did."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.answering import (
    READERS,
    Version,
    encode_cursor,
    instant_cursor,
    instant_of,
    unknown_contact,
    unknown_version,
    uuid_cursor,
)
from services.scorer.errors import AgreementMissing
from services.scorer.showing import show_contact, show_touch
from services.scorer.standing import Question, Standings
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.touches import TouchStore
from shared.http.keys import KeyRing, require
from shared.http.pages import Cursor, Limit, json_response

AsOf = Annotated[datetime | None, Query(description="Instant to score at, with a time zone; now when absent.")]


def create_contact_routes(
    engine: AsyncEngine,
    *,
    standings: Standings,
    contacts: ContactStore,
    touches: TouchStore,
    agreements: AgreementStore,
    keys: KeyRing,
) -> APIRouter:
    """Build the routes below `/v1/contacts`."""
    router = APIRouter(prefix="/v1/contacts")

    @router.get("")
    async def list_contacts(
        request: Request, email: str | None = None, cursor: Cursor = None, limit: Limit = 50, as_of: AsOf = None
    ) -> Response:
        """List contacts with their scores; those of one address with `email`."""
        require(keys, request, *READERS)
        after = uuid_cursor(cursor)
        question = Question(as_of=instant_of(as_of))
        address = None if email is None else email.strip().lower().replace("\0", "")
        async with engine.connect() as connection:
            found = await contacts.page(connection, after=after, limit=limit + 1, email=address)
            active = await agreements.active(connection)
            shown = [
                show_contact(await standings.of(connection, contact_id, state, question, active=active))
                for contact_id, state in found[:limit]
            ]
        more = str(found[limit - 1][0]) if len(found) > limit else None
        return json_response({"contacts": shown, "next": encode_cursor(more)})

    @router.get("/{contact_id}")
    async def read_contact(request: Request, contact_id: UUID, as_of: AsOf = None, version: Version = None) -> Response:
        """Return a contact with its scores explained, and what is missing until it is ready.

        Of an earlier instant, what was known then under the agreement in force then; with `version`, under that one.
        `arming` is told again from the handoff before that instant, whatever the `version`; its `state` is null where
        that was made by a release which kept no handoffs.
        Of a contact that was merged into another the other is returned, with its own `id`.
        """
        require(keys, request, *READERS)
        question = Question(as_of=instant_of(as_of), version=version)
        async with engine.connect() as connection:
            found = await contacts.find(connection, contact_id)
            if found is None:
                raise unknown_contact(contact_id)
            try:
                active = await agreements.active(connection)
                standing = await standings.of(connection, *found, question, active=active)
            except AgreementMissing as missing:
                raise unknown_version(missing) from None
        return json_response(show_contact(standing))

    @router.get("/{contact_id}/touches")
    async def list_touches(request: Request, contact_id: UUID, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List what the contact did, newest first, with the rules that each touch meets, and what speaks against it.

        Of a contact that was merged into another the touches of the other are listed.
        """
        require(keys, request, *READERS)
        before = instant_cursor(cursor)
        async with engine.connect() as connection:
            owner = await contacts.find(connection, contact_id)
            if owner is None:
                raise unknown_contact(contact_id)
            found = await touches.page(connection, owner[0], before=before, limit=limit + 1)
            active = await agreements.active(connection)
        shown = [show_touch(judged, active.terms if active else None) for judged in found[:limit]]
        last = found[limit - 1].touch if len(found) > limit else None
        more = f"{last.occurred_at.isoformat()} {last.id}" if last else None
        return json_response({"touches": shown, "next": encode_cursor(more)})

    return router
