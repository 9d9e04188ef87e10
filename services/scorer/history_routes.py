"""Contacts' histories over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.answering import READERS, Version, instant_of, unknown_contact, unknown_version
from services.scorer.errors import AgreementMissing
from services.scorer.history import MOST_POINTS, History, Span
from services.scorer.store.contacts import ContactStore
from shared.clock import Clock
from shared.durations import parse_duration
from shared.http.keys import KeyRing, require
from shared.http.pages import json_response
from shared.http.problems import ProblemError

Since = Annotated[datetime | None, Query(description="First instant, with a time zone; 90 days before `until`.")]
Until = Annotated[datetime | None, Query(description="Last instant, with a time zone; now when absent.")]
Step = Annotated[str, Query(description="Time from one instant to the next, such as 6h, 1d or 1w.")]

_DAYS_BACK = timedelta(days=90)
_SHORTEST_STEP = timedelta(seconds=1)


def create_history_routes(
    engine: AsyncEngine, *, history: History, contacts: ContactStore, keys: KeyRing, clock: Clock
) -> APIRouter:
    """Build the route that tells how a contact stood over time."""
    router = APIRouter(prefix="/v1/contacts")

    @router.get("/{contact_id}/history")
    async def read_history(
        request: Request,
        contact_id: UUID,
        since: Since = None,
        until: Until = None,
        step: Step = "1d",
        version: Version = None,
    ) -> Response:
        """Return how the contact stood over time, told again from its touches, and what was decided about it.

        Each instant knows what was received by then, and is held against the agreement in force then, or `version`.
        """
        require(keys, request, *READERS)
        span = _span(instant_of(since), instant_of(until) or clock(), step)
        async with engine.connect() as connection:
            found = await contacts.find(connection, contact_id)
            if found is None:
                raise unknown_contact(contact_id)
            try:
                told = await history.tell(connection, *found, span, version=version)
            except AgreementMissing as missing:
                raise unknown_version(missing) from None
        return json_response(told)

    return router


def _span(since: datetime | None, until: datetime, step: str) -> Span:
    try:
        span = Span(since=since or until - _DAYS_BACK, until=until, step=parse_duration(step))
    except (ValueError, OverflowError):
        raise ProblemError(
            422, "invalid_request", "Send `step` as a duration such as 6h, 1d or 1w, and a `since`."
        ) from None
    if span.since > span.until:
        raise ProblemError(422, "invalid_request", "Send a `since` that is no later than `until`.")
    if span.step < _SHORTEST_STEP or span.points > MOST_POINTS:
        message = f"Send a longer `step` or a shorter span: at most {MOST_POINTS} points, a second or more apart."
        raise ProblemError(422, "invalid_request", message)
    return span
