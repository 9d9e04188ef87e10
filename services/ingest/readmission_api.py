"""Readmissions over HTTP: letting somebody back in who was erased, and who was."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from services.ingest.domain.readmission import aliases_of
from services.ingest.errors import NotErased, NotOnePerson
from services.ingest.store.readmissions import Readmission, ReadmissionStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, described, json_response, page_json, read_as, read_body, read_cursor
from shared.http.problems import ProblemError
from shared.telemetry.metrics import Metrics

_MOST_BYTES = 10_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class ReadmissionRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who signed up again: addresses and user ids of one person, all of which were erased."""

    names: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=10)]


@dataclass(frozen=True, slots=True)
class ReadmissionRoutes:
    """The routes under `/v1/readmissions`."""

    keys: KeyRing
    store: ReadmissionStore
    metrics: Metrics
    clock: Clock

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/readmissions", tags=["contacts"])
        routes.add_api_route("", self.list, summary="List who was readmitted, newest first; it names nobody")
        routes.add_api_route(
            "",
            self.readmit,
            methods=["POST"],
            status_code=201,
            summary="Let a person who was erased be a new contact, on the person's own wish",
            openapi_extra=described(ReadmissionRequest, required=True),
        )
        return routes

    async def list(
        self,
        request: Request,
        contact: UUID | None = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, Role.MARKETING, Role.SALES, Role.ADMIN)
        before = read_cursor(cursor)
        found = await self.store.page(contact=contact, before=before, limit=limit + 1)
        return page_json("readmissions", [((one.at, one.id), _shown(one)) for one in found], limit=limit)

    async def readmit(self, request: Request) -> Response:
        principal = require(self.keys, request, Role.MARKETING, Role.ADMIN)
        asked = read_as(ReadmissionRequest, await read_body(request, most=_MOST_BYTES))
        names = {name: aliases_of(name) for name in asked.names}
        for name, aliases in names.items():
            if not aliases or "\0" in name:
                raise ProblemError(422, "invalid_request", f"{name!r} is neither an address nor a user id.")
        try:
            done = await self.store.readmit(uuid.uuid4(), names, by=principal.name, now=self.clock())
        except NotErased as error:
            raise ProblemError(404, "not_erased", str(error)) from None
        except NotOnePerson as error:
            raise ProblemError(409, "not_one_person", str(error)) from None
        self.metrics.contacts_readmitted.inc()
        return json_response(_shown(done), 201)


def _shown(done: Readmission) -> dict[str, Any]:
    return {
        "id": done.id,
        "contact_id": done.contact_id,
        "erasure_ids": done.erasure_ids,
        "names": done.hashes,
        "at": done.at,
        "by": done.by,
    }
