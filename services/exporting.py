"""One document of what ingest, scorer and router hold about a contact, written as it comes."""

from collections.abc import AsyncIterator
from typing import Any, BinaryIO
from uuid import UUID

import msgspec

from services.client import TandemClient


async def write_export(
    contact_id: UUID, target: BinaryIO, *, ingest: TandemClient, scorer: TandemClient, router: TandemClient
) -> None:
    """Write `{"ingest": …, "scorer": …, "handoffs": […]}`. Raises ClientError; what was written is then not whole."""
    names = await ingest.get(f"/v1/contacts/{contact_id}/aliases")
    merges = await ingest.merges(str(contact_id))
    readmitted = (await ingest.get("/v1/readmissions", contact=contact_id))["readmissions"]
    held = {**names, "merges": merges, "readmissions": readmitted}
    target.write(b'{"ingest":' + msgspec.json.encode(held) + b',"scorer":')
    async for chunk in scorer.stream(f"/v1/contacts/{contact_id}/export"):
        target.write(chunk)
    target.write(b',"handoffs":[')
    separator = b""
    # The router knows a handoff by the id that its contact had then.
    joined = {merge[side] for merge in merges if not merge["undone_at"] for side in ("survivor", "other")}
    async with router:
        for one in sorted({str(contact_id), *joined}):
            async for handoff in _handoffs(router, one):
                target.write(separator + msgspec.json.encode(handoff))
                separator = b","
    target.write(b"]}\n")


async def _handoffs(router: TandemClient, contact_id: str) -> AsyncIterator[Any]:
    query: dict[str, str] = {}
    while True:
        page = await router.get(f"/v1/contacts/{contact_id}/handoffs/export", **query)
        for handoff in page["handoffs"]:
            yield handoff
        if page["next"] is None:
            return
        query = {"cursor": page["next"]}
