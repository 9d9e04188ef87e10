"""What became of agreements, over HTTP: the log, what is different between two, and the schema for editors."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.scorer.agreement_answering import Number, mistaken, text_of, told
from services.scorer.answering import READERS, encode_cursor, number_cursor
from services.scorer.store.agreement_log import Entry, read_log
from services.scorer.store.agreements import AgreementStore
from shared.agreement.comparing import Comparison, compare
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement
from shared.agreement.schema import agreement_schema
from shared.http.documents import SCHEMA_ANSWER, SCHEMA_MEDIA_TYPE
from shared.http.keys import KeyRing, require
from shared.http.pages import Cursor, Limit, json_response


def create_agreement_history_routes(engine: AsyncEngine, *, agreements: AgreementStore, keys: KeyRing) -> APIRouter:
    """Build the routes below `/v1/agreements` that only look back. They come before those that take a version."""
    router = APIRouter(prefix="/v1/agreements")

    @router.get("/schema", openapi_extra=SCHEMA_ANSWER, response_class=_SchemaResponse)
    async def read_schema() -> Response:
        """Return the JSON Schema of the file, for editors. Nobody needs a key for it."""
        return _SchemaResponse(msgspec.json.encode(agreement_schema()))

    @router.get("/log")
    async def list_log(request: Request, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List who proposed and signed which version, and when it came into force, newest first."""
        require(keys, request, *READERS)
        before = number_cursor(cursor)
        async with engine.connect() as connection:
            found = await read_log(connection, before=before, limit=limit + 1)
        more = str(found[limit - 1].number) if len(found) > limit else None
        return json_response({"log": [_show_entry(entry) for entry in found[:limit]], "next": encode_cursor(more)})

    @router.get("/{version}/diff/{other}")
    async def compare_versions(request: Request, version: Number, other: Number) -> Response:
        """Tell in words what is different in the other version."""
        require(keys, request, *READERS)
        async with engine.connect() as connection:
            before, after = await _agreement(connection, version), await _agreement(connection, other)
        return json_response({"from": version, "to": other, **_show_comparison(compare(before, after))})

    @router.post("/{version}/diff")
    async def compare_text(request: Request, version: Number) -> Response:
        """Tell in words what is different in the text that is sent, which is not kept."""
        require(keys, request, *READERS)
        text = await text_of(request)
        parsed = await asyncio.to_thread(parse_agreement, text)
        if not isinstance(parsed, Agreement):
            raise mistaken(parsed)
        async with engine.connect() as connection:
            before = await _agreement(connection, version)
        return json_response({"from": version, "to": None, **_show_comparison(compare(before, parsed))})

    async def _agreement(connection: AsyncConnection, version: int) -> Agreement:
        with told():
            return (await agreements.terms(connection, version)).agreement

    return router


def _show_entry(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at": entry.at,
        "version": entry.version,
        "title": entry.title,
        "step": entry.step,
        "by": entry.by,
        "side": entry.side,
        "key": entry.key_fingerprint,
        "hash": entry.content_hash,
    }


def _show_comparison(comparison: Comparison) -> dict[str, Any]:
    return {"changes": comparison.changes, "counts_again": comparison.counts_again}


class _SchemaResponse(Response):
    media_type = SCHEMA_MEDIA_TYPE
