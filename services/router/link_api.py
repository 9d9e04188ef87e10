"""The pages behind the links of messages: opening one changes nothing, sending its form answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import HTMLResponse, Response

from services.router.answer_reading import LONGEST_BODY, kind_of
from services.router.answering import Answers
from services.router.domain.answer import Answer, steps_of
from services.router.domain.answer_link import LINKS_PATH, AnswerLinks, Link
from services.router.domain.answer_page import Question, ask, done, headers, tell
from services.router.domain.contact import company_of, email_of, name_of
from services.router.domain.handoff import State, Step, allows
from services.router.errors import (
    AnswerRefused,
    HandoffMissing,
    IllegalStep,
    LinkExpired,
    LinkInvalid,
    LinkStale,
    LinkUsed,
)
from services.router.store.handoff_row import Handoff
from services.router.store.handoffs import HandoffStore
from services.router.store.links import LinkStore
from shared.clock import Clock
from shared.http.pages import read_body
from shared.http.problems import ProblemError

_MOST_FIELDS = 20
_PAGE: dict[str, Any] = {"content": {"text/html": {}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {"description": "A page that says so.", **_PAGE} for status in (404, 409, 410, 422)
}
_FORM = {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}}


@dataclass(frozen=True, slots=True)
class LinkRoutes:
    """The routes under `/v1/answers`."""

    engine: AsyncEngine
    handoffs: HandoffStore
    used: LinkStore
    answers: Answers
    links: AnswerLinks
    clock: Clock

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix=LINKS_PATH, tags=["answers"], default_response_class=HTMLResponse)
        routes.add_api_route(
            "/{token}", self.show, summary="Ask, as the link of a message says", responses={200: _PAGE, **_ANSWERS}
        )
        routes.add_api_route("/{token}", self.show, methods=["HEAD"], include_in_schema=False)
        routes.add_api_route(
            "/{token}",
            self.take,
            methods=["POST"],
            summary="Answer, once",
            responses={200: _PAGE, 413: {"description": "Too much."}, **_ANSWERS},
            openapi_extra=_FORM,
        )
        return routes

    async def show(self, token: str) -> Response:
        try:
            link, handoff = await self._read(token)
        except (LinkInvalid, LinkExpired, LinkUsed, LinkStale, IllegalStep) as error:
            return _told(error)
        return _html(ask(_question(link, handoff)))

    async def take(self, request: Request, token: str) -> Response:
        body = await read_body(request, most=LONGEST_BODY)
        given: dict[str, str] = {}
        try:
            link, handoff = await self._read(token)
            given = _fields(body)
            if given.pop("sure", "") != "yes":
                again = replace(_question(link, handoff), wrong="Tick the box to confirm.", given=given)
                return _html(ask(again), 422)
            answer = _answer(link, handoff, given)
            await self._take(link, answer)
        except (LinkInvalid, LinkExpired, LinkUsed, LinkStale, IllegalStep) as error:
            return _told(error)
        except (AnswerRefused, msgspec.ValidationError, ProblemError, ValueError) as error:
            return _html(ask(replace(_question(link, handoff), wrong=str(error), given=given)), 422)
        return _html(done(link.step))

    async def _read(self, token: str) -> tuple[Link, Handoff]:
        """Return the link and its handoff. Raises LinkInvalid, LinkExpired, LinkUsed, LinkStale, IllegalStep."""
        link = self.links.read(token, now=self.clock())
        try:
            handoff = await self.handoffs.get(link.handoff_id)
        except HandoffMissing:
            raise LinkInvalid from None
        if await self.used.is_used(link):
            raise LinkUsed
        if handoff.assignments != link.assignment or handoff.state is State.READY:
            raise LinkStale
        if handoff.state not in allows(link.step):
            steps_of(handoff.state, link.step)  # which raises
        return link, handoff

    async def _take(self, link: Link, answer: Answer) -> None:
        async with self.engine.begin() as connection:
            before, steps = await self.answers.take(connection, link.handoff_id, answer, way=steps_of)
            if before.assignments != link.assignment:
                raise LinkStale
            if not await self.used.use(connection, link, now=self.clock()):
                raise LinkUsed
        await self.answers.taken(before, steps)


def _question(link: Link, handoff: Handoff) -> Question:
    contact = handoff.ready.contact
    company = company_of(contact)
    who = name_of(contact) or email_of(contact) or "Somebody"
    return Question(
        step=link.step,
        rep=_owner(handoff),
        about=f"{who} at {company}" if company else who,
        reasons=handoff.ready.reject_reasons,
    )


def _owner(handoff: Handoff) -> str:
    """Return who has the handoff, or had it until it expired."""
    return handoff.rep or (handoff.owners[-1] if handoff.owners else "")


def _answer(link: Link, handoff: Handoff, given: Mapping[str, str]) -> Answer:
    rep = _owner(handoff)
    said = msgspec.convert({name: value for name, value in given.items() if value}, kind_of(link.step), strict=False)
    answer = said.answer(link.step, by=f"{rep} by link" if rep else "link")
    if handoff.state is State.EXPIRED and link.step is Step.ACCEPT:
        return replace(answer, rep=rep or None)  # late, but nobody else has it
    return answer


def _fields(body: bytes) -> dict[str, str]:
    """Read a form. Raises ValueError."""
    return {
        name: value.strip().replace("\r\n", "\n")
        for name, value in parse_qsl(body.decode(), max_num_fields=_MOST_FIELDS, errors="strict")
        if name != "rep"
    }


def _told(error: Exception) -> Response:
    match error:
        case LinkExpired():
            return _html(tell("This link has expired", str(error)), 410)
        case LinkUsed():
            return _html(tell("Already answered", str(error)), 409)
        case LinkStale():
            return _html(tell("Not yours any more", str(error)), 409)
        case IllegalStep():
            return _html(tell("That is not possible now", str(error)), 409)
        case _:
            return _html(tell("This link is not valid", str(error)), 404)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, headers=headers())
