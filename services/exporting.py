"""One document of what ingest, scorer and router hold about a contact, written as it comes."""

from typing import BinaryIO
from uuid import UUID

import msgspec

from services.client import TandemClient


async def write_export(
    contact_id: UUID, target: BinaryIO, *, ingest: TandemClient, scorer: TandemClient, router: TandemClient
) -> None:
    """Write `{"ingest": …, "scorer": …, "handoffs": […]}`. Raises ClientError; what was written is then not whole."""
    names = await ingest.get(f"/v1/contacts/{contact_id}/aliases")
    merges = await ingest.merges(str(contact_id))
    target.write(b'{"ingest":' + msgspec.json.encode({**names, "merges": merges}) + b',"scorer":')
    async for chunk in scorer.stream(f"/v1/contacts/{contact_id}/export"):
        target.write(chunk)
    target.write(b',"handoffs":[')
    separator = b""
    async with router:
        cursor: str | None = None
        while True:
            query = {"cursor": cursor} if cursor else {}
            page = await router.get(f"/v1/contacts/{contact_id}/handoffs/export", **query)
            for handoff in page["handoffs"]:
                target.write(separator + msgspec.json.encode(handoff))
                separator = b","
            cursor = page["next"]
            if cursor is None:
                break
    target.write(b"]}\n")
