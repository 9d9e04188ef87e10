"""Handoffs over HTTP: what waits, what is known, and the answers of reps."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.answer_reading import LONGEST_BODY, AnswerBody, kind_of
from services.router.answering import Answers
from services.router.domain.answer import Answer
from services.router.domain.handoff import State, Step
from services.router.errors import (
    AnswerRefused,
    DifferentAnswer,
    HandoffMissing,
    IllegalStep,
    NotHeld,
    TooManyAnswers,
    UnknownReason,
    UnknownRep,
)
from services.router.releasing import Releaser
from services.router.showing import decisions_json, handoff_json, history_json, whole_handoff_json
from services.router.store.attempts import AttemptStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.objections import ObjectionStore
from services.router.store.teams import TeamStore
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, described, json_response, page_json, read_as, read_body, read_cursor
from shared.http.problems import ProblemError

READERS = (Role.REP, Role.SALES, Role.MARKETING, Role.ADMIN)
ANSWERERS = (Role.REP, Role.SALES, Role.ADMIN)

ANSWERS: tuple[tuple[Step, str], ...] = (
    (Step.ACCEPT, "Take the handoff"),
    (Step.REJECT, "Give it back to marketing, with one of the agreement's reasons"),
    (Step.QUALIFY, "It is an opportunity"),
    (Step.WIN, "The deal is won"),
    (Step.LOSE, "The deal is lost"),
    (Step.OBJECTION, "Note what the contact holds against it"),
    (Step.STORY, "Note what the customer tells of it"),
)


@dataclass(frozen=True, slots=True)
class HandoffRoutes:
    """The routes under `/v1/handoffs`."""

    keys: KeyRing
    teams: TeamStore
    handoffs: HandoffStore
    deliveries: DeliveryStore
    attempts: AttemptStore
    objections: ObjectionStore
    answers: Answers
    releaser: Releaser
    clock: Clock
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
        for step, summary in ANSWERS:
            kind = kind_of(step)
            routes.add_api_route(
                f"/{{handoff_id}}/{step}",
                self._answering(step, kind),
                methods=["POST"],
                name=step,
                summary=summary,
                openapi_extra=described(kind, required=kind.REQUIRED),
            )
        return routes

    async def list(
        self,
        request: Request,
        state: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        found = await self.handoffs.page(states=state or (), before=read_cursor(cursor), limit=limit + 1)
        team = await self.teams.read()
        now = self.clock()
        rows = [((handoff.created_at, handoff.id), handoff_json(handoff, team, now=now)) for handoff in found]
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
            heard=await self.objections.of_account(handoff.ready.contact.account_id),
            public_url=self.public_url,
            now=self.clock(),
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
        return json_response(handoff_json(handoff, await self.teams.read(), now=self.clock()))

    def _answering(self, step: Step, kind: type[AnswerBody]) -> Callable[..., Awaitable[Response]]:
        async def answer(request: Request, handoff_id: UUID) -> Response:
            principal = require(self.keys, request, *ANSWERERS)
            body = await read_body(request, most=LONGEST_BODY)
            said = read_as(kind, body) if body.strip() or kind.REQUIRED else kind()
            return await self._answer(handoff_id, said.answer(step, by=principal.name))

        return answer

    async def _answer(self, handoff_id: UUID, answer: Answer) -> Response:
        try:
            handoff = await self.answers.answer(handoff_id, answer)
        except HandoffMissing as error:
            raise _missing(error) from None
        except IllegalStep as error:
            raise ProblemError(409, "illegal_step", str(error), state=error.state, allowed=error.allowed) from None
        except AnswerRefused as error:
            raise refusal(error) from None
        return json_response(handoff_json(handoff, await self.teams.read(), now=self.clock()))

    async def _find(self, handoff_id: UUID) -> Handoff:
        try:
            return await self.handoffs.get(handoff_id)
        except HandoffMissing as error:
            raise _missing(error) from None


def _missing(error: HandoffMissing) -> ProblemError:
    return ProblemError(404, "no_such_handoff", str(error))


def refusal(error: AnswerRefused) -> ProblemError:
    """Return the problem that a refused answer is."""
    match error:
        case DifferentAnswer():
            return ProblemError(409, error.code, str(error), reason=error.reason)
        case TooManyAnswers():
            return ProblemError(409, error.code, str(error))
        case UnknownReason() | UnknownRep():
            return ProblemError(422, error.code, str(error), allowed=error.known)
        case _:
            return ProblemError(422, error.code, str(error))
