"""Handoffs over HTTP: what waits, what is known, and the answers of reps."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.router.answering import Answers
from services.router.delivery_api import attempt_json, delivery_json
from services.router.domain.brief import write_brief
from services.router.domain.contact import contact_json
from services.router.domain.handoff import State, Step, allowed
from services.router.domain.team import Team
from services.router.errors import DifferentAnswer, HandoffMissing, IllegalStep, UnknownReason
from services.router.pages import json_response, page_json, read_body, read_cursor
from services.router.store.decisions import DecisionStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.handoffs import Handoff, HandoffStore
from services.router.store.teams import TeamStore
from shared.http.keys import KeyRing, Role, require
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


def create_handoff_routes(
    *,
    keys: KeyRing,
    teams: TeamStore,
    handoffs: HandoffStore,
    decisions: DecisionStore,
    deliveries: DeliveryStore,
    answers: Answers,
    public_url: str,
) -> APIRouter:
    """Build the routes under `/v1/handoffs`."""
    routes = APIRouter(prefix="/v1/handoffs", tags=["handoffs"])

    @routes.get("", summary="List handoffs, newest first")
    async def list_handoffs(
        request: Request,
        state: Annotated[list[State], Query(description="Only those in one of these states.")] = [],  # noqa: B006
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> Response:
        require(keys, request, *READERS)
        found = await handoffs.page(states=state, before=read_cursor(cursor), limit=limit + 1)
        team = await teams.read()
        rows = [((handoff.created_at, handoff.id), handoff_json(handoff, team)) for handoff in found]
        return page_json("handoffs", rows, limit=limit)

    @routes.get("/{handoff_id}", summary="One handoff with its brief, history, deliveries and attempts")
    async def get_handoff(request: Request, handoff_id: UUID) -> Response:
        require(keys, request, *READERS)
        return json_response(await detail(await find(handoff_id)))

    @routes.get("/{handoff_id}/decision", summary="Who could have had it, and why it went where it went")
    async def get_decision(request: Request, handoff_id: UUID) -> Response:
        require(keys, request, *READERS)
        handoff = await find(handoff_id)
        found = [{"at": at, **document} for at, document in await decisions.of(handoff_id)]
        return json_response(
            {
                "handoff": handoff_id,
                "state": handoff.state,
                "decision": found[0] if found else None,
                "earlier": found[1:],
            }
        )

    @routes.post("/{handoff_id}/accept", summary="Take the handoff", openapi_extra=_body(Note, required=False))
    async def accept(request: Request, handoff_id: UUID) -> Response:
        return await take(request, handoff_id, Step.ACCEPT)

    @routes.post("/{handoff_id}/qualify", summary="It is an opportunity", openapi_extra=_body(Note, required=False))
    async def qualify(request: Request, handoff_id: UUID) -> Response:
        return await take(request, handoff_id, Step.QUALIFY)

    @routes.post("/{handoff_id}/win", summary="The deal is won", openapi_extra=_body(Note, required=False))
    async def win(request: Request, handoff_id: UUID) -> Response:
        return await take(request, handoff_id, Step.WIN)

    @routes.post("/{handoff_id}/lose", summary="The deal is lost", openapi_extra=_body(Note, required=False))
    async def lose(request: Request, handoff_id: UUID) -> Response:
        return await take(request, handoff_id, Step.LOSE)

    @routes.post(
        "/{handoff_id}/reject",
        summary="Give the handoff back to marketing, with one of the agreement's reasons",
        openapi_extra=_body(Rejection, required=True),
    )
    async def reject(request: Request, handoff_id: UUID) -> Response:
        principal = require(keys, request, *ANSWERERS)
        rejection = _read(await read_body(request, most=_LONGEST_BODY), Rejection)
        return await answered(handoff_id, Step.REJECT, by=principal.name, reason=rejection.reason, note=rejection.note)

    async def take(request: Request, handoff_id: UUID, step: Step) -> Response:
        principal = require(keys, request, *ANSWERERS)
        body = await read_body(request, most=_LONGEST_BODY)
        note = _read(body, Note).note if body.strip() else None
        return await answered(handoff_id, step, by=principal.name, note=note)

    async def answered(
        handoff_id: UUID, step: Step, *, by: str, reason: str | None = None, note: str | None = None
    ) -> Response:
        try:
            handoff = await answers.answer(handoff_id, step, by=by, reason=reason, note=_storable(note))
        except HandoffMissing as error:
            raise ProblemError(404, "no_such_handoff", str(error)) from None
        except UnknownReason as error:
            raise ProblemError(422, "unknown_reason", str(error), allowed=error.known) from None
        except DifferentAnswer as error:
            raise ProblemError(409, "already_rejected", str(error), reason=error.reason) from None
        except IllegalStep as error:
            raise ProblemError(409, "illegal_step", str(error), state=error.state, allowed=error.allowed) from None
        return json_response(handoff_json(handoff, await teams.read()))

    async def find(handoff_id: UUID) -> Handoff:
        try:
            return await handoffs.get(handoff_id)
        except HandoffMissing as error:
            raise ProblemError(404, "no_such_handoff", str(error)) from None

    async def detail(handoff: Handoff) -> dict[str, Any]:
        sent = await deliveries.of_handoff(handoff.id)
        attempts = await deliveries.attempts(row.id for row in sent)
        base = f"{public_url.rstrip('/')}/v1/handoffs/{handoff.id}"
        return {
            **handoff_json(handoff, await teams.read()),
            "allowed": allowed(handoff.state),
            "reject_reasons": handoff.ready.reject_reasons,
            "answer": {"accept": f"{base}/accept", "reject": f"{base}/reject"},
            "brief": write_brief(handoff.ready),
            "history": [
                {
                    "at": row.at,
                    "step": row.step,
                    "before": row.before,
                    "after": row.after,
                    "by": row.by,
                    "rep": row.rep,
                    "reason": row.reason,
                    "note": row.note,
                }
                for row in await handoffs.history(handoff.id)
            ],
            "deliveries": [
                {
                    **delivery_json(row),
                    "log": [attempt_json(attempt) for attempt in attempts if attempt.delivery_id == row.id],
                }
                for row in sent
            ],
        }

    return routes


def handoff_json(handoff: Handoff, team: Team) -> dict[str, Any]:
    """Return a handoff as lists show it."""
    rep = team.rep(handoff.rep) if handoff.rep else None
    return {
        "id": handoff.id,
        "state": handoff.state,
        "state_since": handoff.state_since,
        "reason": handoff.ready.reason,
        "agreement": handoff.ready.agreement,
        "decided_at": handoff.decided_at,
        "created_at": handoff.created_at,
        "contact": contact_json(handoff.ready.contact),
        "pool": handoff.pool,
        "rep": {"name": handoff.rep, "email": rep.email if rep else None} if handoff.rep else None,
        "rejected_because": handoff.reason,
        "engagement": handoff.ready.engagement.score,
        "fit": handoff.ready.fit.score,
        "stage": handoff.ready.stage,
        "respond_within_seconds": handoff.ready.respond.within_seconds,
    }


def _read(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise ProblemError(422, "invalid_request", f"The body is not as expected: {error}.") from None


def _storable(note: str | None) -> str | None:
    return note.replace("\0", "") if note else None


def _body(kind: type[msgspec.Struct], *, required: bool) -> dict[str, Any]:
    schema = msgspec.json.schema(kind)
    (described,) = schema["$defs"].values()
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": described}}}}
