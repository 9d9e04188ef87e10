"""What was set aside, over HTTP: looking through it, and having it read again."""

import base64
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request
from sqlalchemy import Row
from starlette.responses import Response

from services.ingest.domain.wanted import Wanted
from services.ingest.store.rejections import RejectionStore
from services.ingest.store.replays import ReplayStore
from shared.clock import Clock, require_aware
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Limit, described, json_response, page_json, read_as, read_body, read_cursor
from shared.http.problems import ProblemError

READERS = (Role.MARKETING, Role.ADMIN)

_MOST_IDS = 1000
_MOST_BYTES = 100_000

Reasons = Annotated[list[str] | None, Query(description="Only those rejected for one of these reasons.")]
Since = Annotated[datetime | None, Query(description="Only those first rejected at this instant or later.")]
Until = Annotated[datetime | None, Query(description="Only those first rejected before this instant.")]
Waiting = Annotated[
    bool | None, Query(description="true: not replayed, or rejected again since; false: replayed; absent: both.")
]


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which rejections to replay: every condition has to hold. `all` stands for none."""

    ids: Annotated[list[UUID], msgspec.Meta(max_length=_MOST_IDS)] = []
    reason: Annotated[list[str], msgspec.Meta(max_length=100)] = []
    source: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    waiting: bool | None = None  # absent: true, unless ids are given
    all: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RejectedRoutes:
    """The routes under `/v1/rejected`. `can_replay` tells of a rejection; `asked` is called when there is work."""

    keys: KeyRing
    rejections: RejectionStore
    replays: ReplayStore
    clock: Clock
    can_replay: Callable[[Row[Any]], bool]
    asked: Callable[[], None]

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/rejected", tags=["rejected"])
        routes.add_api_route("", self.list, summary="List what was rejected, newest first")
        routes.add_api_route(
            "/replay",
            self.replay,
            methods=["POST"],
            status_code=202,
            summary="Have rejections read again; each counts once, however often it is replayed",
            openapi_extra=described(ReplayRequest, required=True),
        )
        routes.add_api_route("/replays/{replay_id}", self.progress, summary="How far a replay has come")
        routes.add_api_route("/{rejection_id}", self.show, summary="One rejection, with its bytes and headers")
        return routes

    async def list(
        self,
        request: Request,
        reason: Reasons = None,
        source: str | None = None,
        topic: str | None = None,
        since: Since = None,
        until: Until = None,
        waiting: Waiting = None,
        limit: Limit = 50,
        cursor: str | None = None,
    ) -> Response:
        require(self.keys, request, *READERS)
        wanted = _checked(
            Wanted(
                reasons=tuple(reason or ()),
                source=source,
                topic=topic,
                since=_aware(since),
                until=_aware(until),
                waiting=waiting,
            )
        )
        found = await self.rejections.page(wanted, before=read_cursor(cursor), limit=limit + 1)
        rows = [((row.first_seen, row.id), self._outline(row)) for row in found]
        return page_json("rejected", rows, limit=limit)

    async def show(self, request: Request, rejection_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        row = await self.rejections.find(rejection_id)
        if row is None:
            raise ProblemError(404, "not_found", "There is no such rejection; perhaps it is too old to be kept.")
        original: dict[str, Any] = {"base64": base64.b64encode(row.original).decode()}
        try:
            original["text"] = row.original.decode()
        except UnicodeDecodeError:
            original["text"] = None
        headers = msgspec.json.decode(row.headers)
        return json_response({**self._outline(row), "headers": headers, "original": original})

    async def replay(self, request: Request) -> Response:
        principal = require(self.keys, request, Role.ADMIN)
        asked = read_as(ReplayRequest, await read_body(request, most=_MOST_BYTES))
        wanted = _checked(
            Wanted(
                ids=tuple(dict.fromkeys(asked.ids)),
                reasons=tuple(asked.reason),
                source=asked.source,
                topic=asked.topic,
                since=_aware(asked.since),
                until=_aware(asked.until),
                waiting=asked.waiting if asked.waiting is not None or asked.ids else True,
            )
        )
        if not asked.all and msgspec.structs.replace(wanted, waiting=None) == Wanted():
            raise ProblemError(422, "invalid_request", "Say which rejections to replay, or set `all`.")
        total = await self.rejections.count(wanted)
        if asked.dry_run:
            return json_response({"dry_run": True, "total": total})
        identity = uuid.uuid4()
        await self.replays.add(identity, wanted, by=principal.name, total=total, now=self.clock())
        self.asked()
        return await self._progress(identity, status=202)

    async def progress(self, request: Request, replay_id: UUID) -> Response:
        require(self.keys, request, *READERS)
        return await self._progress(replay_id, status=200)

    async def _progress(self, identity: UUID, *, status: int) -> Response:
        row = await self.replays.find(identity)
        if row is None:
            raise ProblemError(404, "not_found", "There is no such replay; perhaps it is too old to be remembered.")
        return json_response(
            {
                "id": row.id,
                "requested_by": row.requested_by,
                "requested_at": row.requested_at,
                "total": row.total,
                "replayed": row.replayed,
                "skipped": row.skipped,  # too large to be kept whole, or of a topic that nobody reads
                "finished_at": row.finished_at,
            },
            status,
        )

    def _outline(self, row: Row[Any]) -> dict[str, Any]:
        return {
            "id": row.id,
            "reason": row.reason,
            "message": row.message,
            "source": row.source,
            "topic": row.topic,
            "partition": row.partition,
            "offset": row.offset,
            "item": row.item,
            "bytes": row.size_bytes,
            "received_at": row.received_at,
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
            "seen": row.seen,
            "waiting": row.waiting,
            "replayable": self.can_replay(row),
            "replays": row.replays,
            "replayed_at": row.replayed_at,
            "replayed_by": row.replayed_by,
        }


def _checked(wanted: Wanted) -> Wanted:
    if any("\0" in text for text in wanted.texts()):
        raise ProblemError(422, "invalid_request", "Ask without the character NUL: nothing is kept under it.")
    return wanted


def _aware(instant: datetime | None) -> datetime | None:
    try:
        return require_aware(instant) if instant else None
    except (ValueError, OverflowError):
        raise ProblemError(422, "invalid_request", "Instants need a time zone: append Z or an offset.") from None
