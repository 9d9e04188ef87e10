"""The webhooks of CRMs over HTTP: where they arrive, how they are understood, and what they said."""

import asyncio
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

import msgspec
import yaml
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.crm_answering import CrmAnswers, Outcome
from services.router.domain.crm_body import ACKNOWLEDGED, is_soap
from services.router.domain.crm_mapping import CrmMapping, Proof, read_mapping
from services.router.domain.crm_proof import CrmRequest, verify
from services.router.errors import CrmHookInvalid, CrmNotVerified
from services.router.store.crm import CrmStore, StoredHook
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, json_response, page_json, read_body, read_cursor
from shared.http.problems import ProblemError
from shared.secrets import SecretBox, SecretsError

HOOK_PATH = "/v1/hooks/crm/{endpoint}"
MAPPING_PATH = "/v1/endpoints/{endpoint}/answers"
MOST_BYTES = 1_000_000

_SHORTEST_SECRET = 16  # characters
_READERS = (Role.SALES, Role.MARKETING, Role.ADMIN)
_WRITTEN = {"requestBody": {"required": True, "content": {"application/yaml": {}, "application/json": {}}}}


@dataclass(frozen=True, slots=True)
class CrmRoutes:
    """The routes."""

    keys: KeyRing
    secrets: SecretBox
    teams: TeamStore
    crm: CrmStore
    answers: CrmAnswers
    clock: Clock

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(tags=["answers"])
        routes.add_api_route(HOOK_PATH, self.receive, methods=["POST"], summary="Take a status webhook of a CRM")
        routes.add_api_route(
            MAPPING_PATH,
            self.put,
            methods=["PUT"],
            summary="Say how the CRM behind an endpoint answers",
            openapi_extra=_WRITTEN,
        )
        routes.add_api_route(MAPPING_PATH, self.get, summary="How the CRM behind an endpoint answers")
        routes.add_api_route(MAPPING_PATH, self.remove, methods=["DELETE"], summary="Let it answer no more")
        routes.add_api_route(f"{MAPPING_PATH}/received", self.received, summary="What it sent, and what came of it")
        return routes

    async def receive(self, request: Request, endpoint: str) -> Response:
        body = await read_body(request, most=MOST_BYTES)
        hook = await self.crm.hook(endpoint.replace("\0", ""))
        if hook is None:  # it is sent again, and may be known by then
            raise ProblemError(
                503, "unknown_endpoint", "Nobody said how this endpoint answers.", headers={"Retry-After": "60"}
            )
        mapping = read_mapping(hook.document)
        try:
            secret = self.secrets.open(hook.secret)
            verify(mapping.proof or Proof(), _as_sent(request, body), secret, now=self.clock())
        except SecretsError as error:
            raise ProblemError(503, "secret_unreadable", str(error)) from None
        except CrmNotVerified as error:
            raise ProblemError(401, "not_verified", str(error)) from None
        content_type = request.headers.get("content-type", "")
        await self.answers.take(hook.endpoint, mapping, body, content_type)
        return (
            Response(ACKNOWLEDGED, media_type="text/xml") if is_soap(content_type) else json_response({"taken": True})
        )

    async def put(self, request: Request, endpoint: str) -> Response:
        principal = require(self.keys, request, Role.ADMIN)
        body = await read_body(request, most=MOST_BYTES)
        team = await self.teams.read()
        if endpoint not in {known.name for known in team.endpoints}:
            raise ProblemError(404, "no_such_endpoint", f"The team has no endpoint {endpoint!r}.")
        try:
            document = await asyncio.to_thread(yaml.safe_load, body.decode())
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ProblemError(422, "invalid_mapping", f"The mapping is neither YAML nor JSON: {error}") from None
        if not isinstance(document, dict):
            raise ProblemError(422, "invalid_mapping", "Write the mapping as an object, such as preset: pipedrive.")
        secret = document.pop("secret", None)
        before = await self.crm.hook(endpoint)
        try:
            mapping = read_mapping(document)
            sealed = self._sealed(secret) if secret is not None or before is None else before.secret
        except (CrmHookInvalid, SecretsError) as error:
            raise ProblemError(422, "invalid_mapping", str(error)) from None
        declared = msgspec.to_builtins(msgspec.convert(document, CrmMapping))
        hook = StoredHook(endpoint, declared, sealed, self.clock(), principal.name)
        await self.crm.save_hook(hook)
        return json_response(_shown(hook, mapping))

    async def get(self, request: Request, endpoint: str) -> Response:
        require(self.keys, request, *_READERS)
        hook = await self.crm.hook(endpoint.replace("\0", ""))
        if hook is None:
            raise _missing(endpoint)
        return json_response(_shown(hook, read_mapping(hook.document)))

    async def remove(self, request: Request, endpoint: str) -> Response:
        require(self.keys, request, Role.ADMIN)
        if not await self.crm.remove_hook(endpoint.replace("\0", "")):
            raise _missing(endpoint)
        return json_response({"removed": endpoint})

    async def received(
        self,
        request: Request,
        endpoint: str,
        outcome: Annotated[list[Outcome] | None, Query(description="Only those of which this came.")] = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *_READERS)
        found = await self.crm.page(
            endpoint.replace("\0", ""), outcomes=outcome or (), before=read_cursor(cursor), limit=limit + 1
        )
        rows = [((row.received_at, row.id), _received(row)) for row in found]
        return page_json("received", rows, limit=limit)

    def _sealed(self, secret: Any) -> str:
        if not isinstance(secret, str) or len(secret) < _SHORTEST_SECRET:
            raise CrmHookInvalid(f"`secret`: what the CRM proves itself with, at least {_SHORTEST_SECRET} characters.")
        return self.secrets.seal(secret)


def _shown(hook: StoredHook, mapping: CrmMapping) -> dict[str, Any]:
    return {
        "endpoint": hook.endpoint,
        "declared": hook.document,
        "mapping": msgspec.to_builtins(mapping),
        "changed_at": hook.changed_at,
        "changed_by": hook.changed_by,
    }


def _received(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": row.received_at,
        "outcome": row.outcome,
        "message": row.message,
        "handoff": row.handoff_id,
        "status": row.status,
        "step": row.step,
        "body": row.body.decode("utf-8", "replace"),
    }


def _missing(endpoint: str) -> ProblemError:
    return ProblemError(404, "no_such_mapping", f"Nobody said how the endpoint {endpoint!r} answers.")


def _as_sent(request: Request, body: bytes) -> CrmRequest:
    headers = request.headers
    schemes = dict.fromkeys([headers.get("x-forwarded-proto", "https"), "https", request.url.scheme])
    hosts = dict.fromkeys(filter(None, [headers.get("x-forwarded-host"), headers.get("host")]))
    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    return CrmRequest(
        method=request.method,
        urls=tuple(f"{scheme}://{host}{target}" for scheme, host in product(schemes, hosts)),
        headers=dict(headers),
        tokens=tuple(_tokens(request)),
        body=body,
    )


def _tokens(request: Request) -> Iterator[str]:
    """Yield what may be the secret, in all places that CRMs have for it."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        yield credentials.strip()
    elif scheme.lower() == "basic":
        with suppress(ValueError):
            yield b64decode(credentials).decode().partition(":")[2]
    for value in (request.headers.get("x-webhook-secret"), request.query_params.get("key")):
        if value:
            yield value
