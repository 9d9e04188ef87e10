"""Handoffs over HTTP: what waits, what is known, and the answers of reps."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.answering import Answers
from services.router.domain.handoff import State, Step
from services.router.errors import DifferentAnswer, HandoffMissing, IllegalStep, NotHeld, UnknownReason
from services.router.releasing import Releaser
from services.router.showing import decisions_json, handoff_json, history_json, whole_handoff_json
from services.router.store.attempts import AttemptStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoffs import Handoff, HandoffStore
from services.router.store.teams import TeamStore
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import described, json_response, page_json, read_as, read_body, read_cursor
from shared.http.problems import ProblemError

READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)
ANSWERERS = (Role.REP, Role.SALES, Role.ADMIN)

_LONGEST_BODY = 65536  # bytes
_Note = Annotated[str, msgspec.Meta(max_length=5000)]


class Note(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an answer; it may be absent."""

    note: _Note | None = None


class Rejection(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a rejection: one of the agreement's reasons, and in the rep's words why."""

    reason: str
    note: _Note | None = None


@dataclass(frozen=True, slots=True)
class HandoffRoutes:
    """The routes under `/v1/handoffs`."""

    keys: KeyRing
    teams: TeamStore
    handoffs: HandoffStore
    deliveries: DeliveryStore
    attempts: AttemptStore
    answers: Answers
    releaser: Releaser
    public_url: str

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/handoffs", tags=["handoffs"])
        routes.add_api_route("", self.list, summary="List handoffs, newest first")
        routes.add_api_route("/{handoff_id}", self.get, summary="A handoff with brief, history and deliveries")
        routes.add_api_route("/{handoff_id}/decision", self.decision, summary="Why it went where it went")
        routes.add_api_route(
            "/{handoff_id}/release", self.release, methods=["POST"], summary="Let it pass what a rule holds it for"
        )
        for name, endpoint, kind, summary in (
            ("accept", self.accept, Note, "Take the handoff"),
            ("reject", self.reject, Rejection, "Give it back to marketing, with one of the agreement's reasons"),
            ("qualify", self.qualify, Note, "It is an opportunity"),
            ("win", self.win, Note, "The deal is won"),
            ("lose", self.lose, Note, "The deal is lost"),
        ):
            routes.add_api_route(
                f"/{{handoff_id}}/{name}",
                endpoint,
                methods=["POST"],
                summary=summary,
                openapi_extra=described(kind, required=kind is Rejection),
            )
        return routes

    async def list(
        self,
        request: Request,
        state: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        found = await self.handoffs.page(states=state or (), before=read_cursor(cursor), limit=limit + 1)
        team = await self.teams.read()
        rows = [((handoff.created_at, handoff.id), handoff_json(handoff, team)) for handoff in found]
        return page_json("handoffs", rows, limit=limit)

    async def get(self, request: Request, handoff_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        handoff = await self._find(handoff_id)
        deliveries = await self.deliveries.of_handoff(handoff.id)
        shown = whole_handoff_json(
            handoff,
            team=await self.teams.read(),
            history=history_json(handoff, await self.handoffs.history(handoff.id)),
            deliveries=deliveries,
            attempts=await self.attempts.of_deliveries(row.id for row in deliveries),
            public_url=self.public_url,
        )
        return json_response(shown)

    async def decision(
        self,
        request: Request,
        handoff_id: UUID,
        rep: Annotated[
            str | None, Query(max_length=200, description="Name or e-mail: why they got it, or why not.")
        ] = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        handoff = await self._find(handoff_id)
        named = (await self.teams.read()).rep_called(rep) if rep else None
        steps = await self.handoffs.history(handoff.id)
        return json_response(decisions_json(handoff, steps, rep=named.name if named else rep))

    async def release(self, request: Request, handoff_id: UUID) -> Response:
        require(self.keys, request, Role.SALES, Role.MARKETING, Role.ADMIN)
        try:
            handoff = await self.releaser.release(handoff_id)
        except HandoffMissing as error:
            raise _missing(error) from None
        except NotHeld as error:
            raise ProblemError(409, "not_held", str(error)) from None
        return json_response(handoff_json(handoff, await self.teams.read()))

    async def accept(self, request: Request, handoff_id: UUID) -> Response:
        return await self._take(request, handoff_id, Step.ACCEPT)

    async def qualify(self, request: Request, handoff_id: UUID) -> Response:
        return await self._take(request, handoff_id, Step.QUALIFY)

    async def win(self, request: Request, handoff_id: UUID) -> Response:
        return await self._take(request, handoff_id, Step.WIN)

    async def lose(self, request: Request, handoff_id: UUID) -> Response:
        return await self._take(request, handoff_id, Step.LOSE)

    async def reject(self, request: Request, handoff_id: UUID) -> Response:
        principal = require(self.keys, request, *ANSWERERS)
        rejection = read_as(Rejection, await read_body(request, most=_LONGEST_BODY))
        return await self._answer(
            handoff_id, Step.REJECT, by=principal.name, reason=rejection.reason, note=rejection.note
        )

    async def _take(self, request: Request, handoff_id: UUID, step: Step) -> Response:
        principal = require(self.keys, request, *ANSWERERS)
        body = await read_body(request, most=_LONGEST_BODY)
        note = read_as(Note, body).note if body.strip() else None
        return await self._answer(handoff_id, step, by=principal.name, note=note)

    async def _answer(
        self, handoff_id: UUID, step: Step, *, by: str, reason: str | None = None, note: str | None = None
    ) -> Response:
        storable = note.replace("\0", "") if note else None  # PostgreSQL keeps no NUL in text
        try:
            handoff = await self.answers.answer(handoff_id, step, by=by, reason=reason, note=storable)
        except HandoffMissing as error:
            raise _missing(error) from None
        except UnknownReason as error:
            raise ProblemError(422, "unknown_reason", str(error), allowed=error.known) from None
        except DifferentAnswer as error:
            raise ProblemError(409, "already_rejected", str(error), reason=error.reason) from None
        except IllegalStep as error:
            raise ProblemError(409, "illegal_step", str(error), state=error.state, allowed=error.allowed) from None
        return json_response(handoff_json(handoff, await self.teams.read()))

    async def _find(self, handoff_id: UUID) -> Handoff:
        try:
            return await self.handoffs.get(handoff_id)
        except HandoffMissing as error:
            raise _missing(error) from None


def _missing(error: HandoffMissing) -> ProblemError:
    return ProblemError(404, "no_such_handoff", str(error))
