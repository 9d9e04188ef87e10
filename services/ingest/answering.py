"""How ingest's routes for people answer: pages by cursor, and a database that is away."""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Query
from starlette.responses import Response

from shared.clock import require_aware
from shared.http.problems import ProblemError
from shared.postgres.engine import passes

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


def json_answer(content: Any, status: int = 200) -> Response:
    """Return the content as JSON."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


@contextmanager
def telling_when_away() -> Iterator[None]:
    """Make of a database that is away a 503 problem."""
    try:
        yield
    except ProblemError:
        raise
    except Exception as error:
        if not passes(error):
            raise
        raise ProblemError(
            503, "database_unavailable", "The database cannot be reached. Try again.", headers={"Retry-After": "2"}
        ) from error


def write_cursor(at: datetime, item: UUID) -> str:
    """Return the cursor that continues after the item."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {item}".encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return after which item the page starts. Raises a 422 problem."""
    if cursor is None:
        return None
    try:
        at, _, item = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        return require_aware(datetime.fromisoformat(at)), UUID(item)
    except (binascii.Error, ValueError, OverflowError):
        raise ProblemError(
            422, "invalid_cursor", "Send `cursor` as the `next` of the page before, unchanged."
        ) from None
