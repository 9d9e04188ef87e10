"""Agreements over HTTP: propose a text, read it, sign its hash."""

import asyncio
from collections.abc import Callable

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.agreement_answering import Number, mistaken, text_of, told
from services.scorer.answering import READERS, encode_cursor, number_cursor
from services.scorer.showing import show_replay, show_version
from services.scorer.store.agreements import AgreementStore, Side
from services.scorer.store.replays import ReplayStore
from shared.agreement.hashing import content_hash
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_draft
from shared.clock import Clock
from shared.http.documents import problem_response
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Cursor, Limit, json_response
from shared.http.problems import ProblemError

_PROPOSERS = (Role.MARKETING, Role.SALES, Role.ADMIN)
_SIDES: dict[Role, Side] = {Role.MARKETING: "marketing", Role.SALES: "sales"}


class SignatureBody(msgspec.Struct, forbid_unknown_fields=True):
    """What a signature says: the hash of the text that was read."""

    hash: str


def create_agreement_routes(
    engine: AsyncEngine,
    *,
    agreements: AgreementStore,
    keys: KeyRing,
    clock: Clock,
    on_activation: Callable[[], None],
) -> APIRouter:
    """Build the routes below `/v1/agreements`; `on_activation` is called after both sides signed an agreement."""
    router = APIRouter(prefix="/v1/agreements")
    replays = ReplayStore()

    @router.get("")
    async def list_agreements(request: Request, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List all versions of the agreement, newest first."""
        require(keys, request, *READERS)
        before = number_cursor(cursor)
        async with engine.connect() as connection:
            found = await agreements.page(connection, before=before, limit=limit + 1)
        more = str(found[limit - 1].version) if len(found) > limit else None
        shown = [show_version(version) for version in found[:limit]]
        return json_response({"agreements": shown, "next": encode_cursor(more)})

    @router.post("")
    async def propose(request: Request) -> Response:
        """Propose an agreement, as YAML. The same content again is the same version."""
        principal = require(keys, request, *_PROPOSERS)
        text = await text_of(request)
        parsed = await asyncio.to_thread(parse_draft, text)
        if not isinstance(parsed, Agreement):
            raise mistaken(parsed)
        async with engine.begin() as connection:
            version, is_new = await agreements.propose(
                connection, parsed, content_hash=content_hash(parsed), text=text, by=principal.name, now=clock()
            )
        return json_response(show_version(version), 201 if is_new else 200)

    @router.get("/active", responses={404: problem_response("No agreement is active.")})
    async def read_active(request: Request) -> Response:
        """Return the agreement that decisions are made under."""
        require(keys, request, *READERS)
        async with engine.connect() as connection:
            with told():
                version = await agreements.read_active(connection)
            progress = await replays.progress(connection, version.version)
        return json_response(show_version(version) | {"replay": show_replay(progress)})

    @router.get("/{version}")
    async def read_agreement(request: Request, version: Number) -> Response:
        """Return one version of the agreement."""
        require(keys, request, *READERS)
        async with engine.connect() as connection:
            with told():
                found = await agreements.read(connection, version)
            progress = await replays.progress(connection, version)
        return json_response(show_version(found) | {"replay": show_replay(progress)})

    @router.post("/{version}/signatures")
    async def sign(request: Request, version: Number) -> Response:
        """Sign a version for the side of the key. The second side's signature makes it active at once.

        If it counts otherwise than the active one, it is `activating` until all touches are counted; `replay` tells how
        far that is.
        """
        principal = require(keys, request, *_SIDES)
        signed_hash = await _signed_hash(request)
        async with engine.begin() as connection:
            with told():
                signed = await agreements.sign(
                    connection,
                    version,
                    content_hash=signed_hash,
                    side=_SIDES[principal.role],
                    by=principal.name,
                    key_fingerprint=principal.fingerprint,
                    clock=clock,
                )
            progress = await replays.progress(connection, version)
        if signed.status in {"activating", "active"}:
            on_activation()
        return json_response(show_version(signed) | {"replay": show_replay(progress)}, 201)

    return router


async def _signed_hash(request: Request) -> str:
    try:
        return msgspec.json.decode(await request.body(), type=SignatureBody).hash
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        message = f'Send {{"hash": "…"}} with the hash of the version that you read: {error}'
        raise ProblemError(422, "invalid_signature", message) from None
