"""Bodies in and pages out. A cursor is the place of the last item of a page, and says nothing else."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from shared.clock import require_aware
from shared.http.problems import ProblemError

Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
Place = tuple[datetime, UUID]

T = TypeVar("T")


def write_cursor(created_at: datetime, item: UUID) -> str:
    """Return the cursor that continues after the item."""
    return base64.urlsafe_b64encode(f"{created_at.isoformat()}|{item}".encode()).decode()


def read_cursor(cursor: str | None) -> Place | None:
    """Return where the cursor stands. Raises a 422 problem for one that we did not make."""
    if not cursor:
        return None
    try:
        at, _, item = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        return require_aware(datetime.fromisoformat(at)), UUID(item)
    except (binascii.Error, ValueError, OverflowError):
        raise ProblemError(422, "invalid_cursor", "Use the `next` of the page before as cursor.") from None


def page_json(name: str, rows: Sequence[tuple[Place, Any]], *, limit: int) -> Response:
    """Return one page. `rows` holds one more than `limit` when there is another page."""
    shown = rows[:limit]
    following = write_cursor(*shown[-1][0]) if len(rows) > limit else None
    return json_response({name: [item for _, item in shown], "next": following})


def json_response(value: Any, status: int = 200) -> Response:
    """Return the value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def read_body(request: Request, *, most: int) -> bytes:
    """Return the body. Raises a 413 problem before more than `most` bytes are kept."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise ProblemError(413, "too_large", f"The body may have at most {most} bytes.")
    return bytes(body)


def read_as(kind: type[T], body: bytes) -> T:
    """Return the body as this kind of value. Raises a 422 problem."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise ProblemError(422, "invalid_request", f"The body is not as expected: {error}.") from None


def described(kind: type[msgspec.Struct], *, required: bool) -> dict[str, Any]:
    """Describe a body that is read by `read_as`, as OpenAPI does."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}
