"""Merges over HTTP: which there were, and taking one back."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.ingest.errors import MergeNotFound, MergeTooDeep
from services.ingest.store.merges import Merges, StoredMerge
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Cursor, Limit, json_response, read_cursor, write_cursor
from shared.http.problems import ProblemError
from shared.telemetry.metrics import Metrics

READERS = (Role.MARKETING, Role.SALES, Role.REP, Role.ADMIN)


def create_merge_routes(merges: Merges, *, keys: KeyRing, metrics: Metrics, clock: Clock) -> APIRouter:
    """Build the routes below `/v1/merges`."""
    router = APIRouter(prefix="/v1/merges", tags=["contacts"])

    @router.get("")
    async def list_merges(
        request: Request, contact: UUID | None = None, cursor: Cursor = None, limit: Limit = 50
    ) -> Response:
        """List merges, newest first; with `contact` those that made it what it is, and that which took it away."""
        require(keys, request, *READERS)
        before = read_cursor(cursor)
        found = await merges.page(contact=contact, before=before, limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return json_response(
            {
                "merges": [_show(merge) for merge in found[:limit]],
                "next": write_cursor(last.merged_at, last.id) if last else None,
            }
        )

    @router.post("/{merge_id}/undo")
    async def undo_merge(request: Request, merge_id: UUID) -> Response:
        """Make the merged contact one of its own again. The two are never merged again by themselves."""
        principal = require(keys, request, Role.MARKETING, Role.ADMIN)
        try:
            merge, newly = await merges.undo(merge_id, by=principal.name, now=clock())
        except MergeNotFound as error:
            raise ProblemError(404, "merge_not_found", str(error)) from None
        except MergeTooDeep as error:
            raise ProblemError(409, "later_merge", str(error), first=str(error.first)) from None
        if newly:
            metrics.merges_undone.inc()
        return json_response(_show(merge))

    return router


def _show(merge: StoredMerge) -> dict[str, Any]:
    return {
        "id": merge.id,
        "survivor": merge.survivor,
        "other": merge.other,
        "evidence": merge.evidence,
        "aliases": merge.aliases,
        "merged_at": merge.merged_at,
        "undone_at": merge.undone_at,
        "undone_by": merge.undone_by,
    }
