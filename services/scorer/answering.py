"""What the scorer's routes have in common: who may read, and where pages begin."""

import base64
import binascii
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from services.scorer.errors import AgreementMissing
from shared.clock import require_aware
from shared.http.keys import Role
from shared.http.problems import ProblemError

READERS = (Role.MARKETING, Role.SALES, Role.REP, Role.ADMIN)

Version = Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Version of the agreement to score under.")]


def encode_cursor(text: str | None) -> str | None:
    """Return where the next page starts as something that nobody takes apart; None: there is no next page."""
    return None if text is None else base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def uuid_cursor(cursor: str | None) -> UUID | None:
    """Return the id after which the page starts. Raises a 422 problem."""
    if cursor is None:
        return None
    try:
        return UUID(_decoded(cursor))
    except ValueError:
        raise _wrong_cursor() from None


def number_cursor(cursor: str | None) -> int | None:
    """Return the number before which the page starts. Raises a 422 problem."""
    if cursor is None:
        return None
    text = _decoded(cursor)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _wrong_cursor()
    return int(text)


def instant_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the instant and the id before which the page starts. Raises a 422 problem."""
    if cursor is None:
        return None
    instant, _, number = _decoded(cursor).partition(" ")
    try:
        return require_aware(datetime.fromisoformat(instant)), UUID(number)
    except (ValueError, OverflowError):
        raise _wrong_cursor() from None


def rank_cursor(cursor: str | None) -> tuple[float, UUID] | None:
    """Return the rank and the id before which the page starts. Raises a 422 problem."""
    if cursor is None:
        return None
    rank, _, number = _decoded(cursor).partition(" ")
    try:
        return float(rank), UUID(number)
    except ValueError:
        raise _wrong_cursor() from None


def _decoded(cursor: str) -> str:
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise _wrong_cursor() from None


def _wrong_cursor() -> ProblemError:
    return ProblemError(422, "invalid_cursor", "Send `cursor` as the `next` of the page before, unchanged.")


def instant_of(given: datetime | None) -> datetime | None:
    """Return an instant of a query in UTC. Raises a 422 problem."""
    if given is None:
        return None
    try:
        return require_aware(given)
    except (ValueError, OverflowError):
        raise ProblemError(422, "invalid_request", "Send instants with a time zone: append Z.") from None


def unknown_contact(contact_id: UUID) -> ProblemError:
    """Return the problem that there is no such contact."""
    return ProblemError(404, "contact_not_found", f"There is no contact {contact_id}.")


def unknown_version(missing: AgreementMissing) -> ProblemError:
    """Return the problem that there is no such version of the agreement."""
    return ProblemError(404, "agreement_not_found", str(missing))
