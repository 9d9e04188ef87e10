"""Agreements over HTTP: propose a text, read it, sign its hash."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response

from services.scorer.answering import (
    READERS,
    Cursor,
    Limit,
    encode_cursor,
    json_answer,
    number_cursor,
    reading,
    writing,
)
from services.scorer.errors import AgreementClosed, AgreementError, AgreementMissing, HashMismatch
from services.scorer.showing import show_replay, show_version
from services.scorer.store.agreements import AgreementStore, Side
from services.scorer.store.replays import ReplayStore
from shared.agreement.hashing import content_hash
from shared.agreement.model import Agreement
from shared.agreement.parse import LARGEST_TEXT, parse_agreement
from shared.agreement.reading import Mistake
from shared.clock import Clock
from shared.http.documents import problem_response
from shared.http.keys import KeyRing, Role, require
from shared.http.problems import ProblemError

_PROPOSERS = (Role.MARKETING, Role.SALES, Role.ADMIN)
_SIDES: dict[Role, Side] = {Role.MARKETING: "marketing", Role.SALES: "sales"}

_PROBLEMS: dict[type[AgreementError], tuple[int, str]] = {
    AgreementMissing: (404, "agreement_not_found"),
    HashMismatch: (409, "hash_mismatch"),
    AgreementClosed: (409, "agreement_superseded"),
}

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


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
        async with reading(engine) as connection:
            found = await agreements.page(connection, before=before, limit=limit + 1)
        more = str(found[limit - 1].version) if len(found) > limit else None
        shown = [show_version(version) for version in found[:limit]]
        return json_answer({"agreements": shown, "next": encode_cursor(more)})

    @router.post("")
    async def propose(request: Request) -> Response:
        """Propose an agreement, as YAML. The same content again is the same version."""
        principal = require(keys, request, *_PROPOSERS)
        text = await _text(request)
        parsed = await asyncio.to_thread(parse_agreement, text)
        if not isinstance(parsed, Agreement):
            raise _mistaken(parsed)
        async with writing(engine) as connection:
            version, is_new = await agreements.propose(
                connection, parsed, content_hash=content_hash(parsed), text=text, by=principal.name, now=clock()
            )
        return json_answer(show_version(version), 201 if is_new else 200)

    @router.get("/active", responses={404: problem_response("No agreement is active.")})
    async def read_active(request: Request) -> Response:
        """Return the agreement that decisions are made under."""
        require(keys, request, *READERS)
        async with reading(engine) as connection:
            with _told():
                version = await agreements.read_active(connection)
            progress = await replays.progress(connection, version.version)
        return json_answer(show_version(version) | {"replay": show_replay(progress)})

    @router.get("/{version}")
    async def read_agreement(request: Request, version: Number) -> Response:
        """Return one version of the agreement."""
        require(keys, request, *READERS)
        async with reading(engine) as connection:
            with _told():
                found = await agreements.read(connection, version)
            progress = await replays.progress(connection, version)
        return json_answer(show_version(found) | {"replay": show_replay(progress)})

    @router.post("/{version}/signatures")
    async def sign(request: Request, version: Number) -> Response:
        """Sign a version for the side of the key. The second side's signature makes it active at once.

        If it counts otherwise than the active one, it is `activating` until all touches are counted; `replay` tells how
        far that is.
        """
        principal = require(keys, request, *_SIDES)
        signed_hash = await _signed_hash(request)
        async with writing(engine) as connection:
            with _told():
                signed = await agreements.sign(
                    connection,
                    version,
                    content_hash=signed_hash,
                    side=_SIDES[principal.role],
                    by=principal.name,
                    clock=clock,
                )
            progress = await replays.progress(connection, version)
        if signed.status in {"activating", "active"}:
            on_activation()
        return json_answer(show_version(signed) | {"replay": show_replay(progress)}, 201)

    return router


@contextmanager
def _told() -> Iterator[None]:
    """Make a problem of what somebody who works on agreements has to be told."""
    try:
        yield
    except AgreementError as error:
        status, code = _PROBLEMS[type(error)]
        raise ProblemError(status, code, str(error)) from None


def _mistaken(mistakes: Sequence[Mistake]) -> ProblemError:
    errors = [
        {"line": mistake.line, "column": mistake.column, "key": mistake.key, "message": mistake.message}
        for mistake in mistakes
    ]
    return ProblemError(422, "invalid_agreement", "; ".join(map(str, mistakes)), errors=errors)


async def _text(request: Request) -> str:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_TEXT:
            raise ProblemError(413, "agreement_too_large", f"An agreement may have at most {LARGEST_TEXT} bytes.")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError(422, "invalid_agreement", "Send the agreement as YAML in UTF-8.", errors=[]) from None


async def _signed_hash(request: Request) -> str:
    try:
        return msgspec.json.decode(await request.body(), type=SignatureBody).hash
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        message = f'Send {{"hash": "…"}} with the hash of the version that you read: {error}'
        raise ProblemError(422, "invalid_signature", message) from None
