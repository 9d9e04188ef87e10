"""Contacts over HTTP: their scores explained, and what they did."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.scorer.answering import (
    READERS,
    Cursor,
    Limit,
    encode_cursor,
    instant_cursor,
    json_answer,
    reading,
    uuid_cursor,
)
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.showing import show_contact, show_touch
from services.scorer.store.agreements import Active, AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.touches import TouchStore
from shared.clock import Clock, require_aware
from shared.http.keys import KeyRing, require
from shared.http.problems import ProblemError

AsOf = Annotated[datetime | None, Query(description="Instant to score at, with a time zone; now when absent.")]


def create_contact_routes(
    engine: AsyncEngine,
    *,
    contacts: ContactStore,
    touches: TouchStore,
    agreements: AgreementStore,
    keys: KeyRing,
    clock: Clock,
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
        instant = _instant(as_of, clock)
        address = None if email is None else email.strip().lower().replace("\0", "")
        async with reading(engine) as connection:
            found = await contacts.page(connection, after=after, limit=limit + 1, email=address)
            active = await agreements.active(connection)
            shown = [
                show_contact(contact_id, state, await terms_of(connection, state, active), as_of=instant)
                for contact_id, state in found[:limit]
            ]
        more = str(found[limit - 1][0]) if len(found) > limit else None
        return json_answer({"contacts": shown, "next": encode_cursor(more)})

    @router.get("/{contact_id}")
    async def read_contact(request: Request, contact_id: UUID, as_of: AsOf = None) -> Response:
        """Return a contact with its scores, and what is missing until it is ready.

        Of a contact that was merged into another the other is returned, with its own `id`.
        """
        require(keys, request, *READERS)
        instant = _instant(as_of, clock)
        async with reading(engine) as connection:
            found = await contacts.find(connection, contact_id)
            if found is None:
                raise _unknown(contact_id)
            contact_id, state = found
            terms = await terms_of(connection, state, await agreements.active(connection))
        return json_answer(show_contact(contact_id, state, terms, as_of=instant))

    @router.get("/{contact_id}/touches")
    async def list_touches(request: Request, contact_id: UUID, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List what the contact did, newest first, with the rules that each touch meets, and what speaks against it.

        Of a contact that was merged into another the touches of the other are listed.
        """
        require(keys, request, *READERS)
        before = instant_cursor(cursor)
        async with reading(engine) as connection:
            owner = await contacts.find(connection, contact_id)
            if owner is None:
                raise _unknown(contact_id)
            found = await touches.page(connection, owner[0], before=before, limit=limit + 1)
            active = await agreements.active(connection)
        shown = [show_touch(judged, active.terms if active else None) for judged in found[:limit]]
        last = found[limit - 1].touch if len(found) > limit else None
        more = f"{last.occurred_at.isoformat()} {last.id}" if last else None
        return json_answer({"touches": shown, "next": encode_cursor(more)})

    async def terms_of(connection: AsyncConnection, state: ContactState, active: Active | None) -> Terms | None:
        """Return the active terms, or while a contact is still counted under earlier ones, these."""
        if active is None or not state.agreement or state.counting == active.terms.counting:
            return active.terms if active else None
        return await agreements.terms(connection, state.agreement)

    return router


def _instant(as_of: datetime | None, clock: Clock) -> datetime:
    if as_of is None:
        return clock()
    try:
        return require_aware(as_of)
    except (ValueError, OverflowError):
        raise ProblemError(422, "invalid_request", "Send `as_of` with a time zone: append Z.") from None


def _unknown(contact_id: UUID) -> ProblemError:
    return ProblemError(404, "contact_not_found", f"There is no contact {contact_id}.")
