"""History: how a contact stood over time, exactly, told again from its touches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.instants import Micros, from_micros, micros_of, to_micros
from services.scorer.domain.retelling import Point, Retelling, received
from services.scorer.domain.state import ContactState
from services.scorer.domain.terms import Terms
from services.scorer.standing import Standings
from services.scorer.store.agreements import Activation, AgreementStore
from services.scorer.store.touches import TouchStore

MOST_POINTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Which instants are asked for: from `since` in steps, and `until`."""

    since: datetime
    until: datetime
    step: timedelta

    @property
    def points(self) -> int:
        """How many instants that are."""
        return -(-(self.until - self.since) // self.step) + 1

    def instants(self) -> list[Micros]:
        """Return them in order."""
        first, last, step = to_micros(self.since), to_micros(self.until), micros_of(self.step)
        return [Micros(at) for at in range(first, last, step)] + [last]


class History:
    """Tells contacts' histories."""

    def __init__(self, standings: Standings, *, touches: TouchStore, agreements: AgreementStore) -> None:
        self._standings = standings
        self._touches = touches
        self._agreements = agreements

    async def tell(
        self, connection: AsyncConnection, contact_id: UUID, state: ContactState, span: Span, *, version: int | None
    ) -> dict[str, Any]:
        """Return the series, under the version or under what was in force at each instant, with what happened.

        Raises AgreementMissing.
        """
        activations = await self._agreements.activations(connection)
        terms = await self._terms(connection, span.instants(), activations, version)
        retelling = Retelling(state, [each for _, each in terms])
        points = await self._points(connection, contact_id, retelling, terms)
        steps = [*await self._standings.handoffs(connection, contact_id, state), *retelling.wishes]
        return {
            "contact": contact_id,
            "since": span.since,
            "until": span.until,
            "step_seconds": span.step.total_seconds(),
            "version": version,
            "agreements": _in_span(activations, span),
            "points": points,
            "steps": sorted((step for step in steps if span.since <= step.at <= span.until), key=lambda step: step.at),
        }

    async def _terms(
        self,
        connection: AsyncConnection,
        instants: Sequence[Micros],
        activations: Sequence[Activation],
        version: int | None,
    ) -> list[tuple[Micros, Terms | None]]:
        """Return each instant with the terms to hold the contact against."""
        if version is not None:
            terms = await self._agreements.terms(connection, version)
            return [(at, terms) for at in instants]
        return [(at, await self._standings.in_force(connection, activations, from_micros(at))) for at in instants]

    async def _points(
        self,
        connection: AsyncConnection,
        contact_id: UUID,
        retelling: Retelling,
        terms: Sequence[tuple[Micros, Terms | None]],
    ) -> list[dict[str, Any]]:
        points: list[dict[str, Any]] = []

        def tell_before(known_at: Micros | None) -> None:
            """Add the points at which what is received at the instant was not known yet; None: all that are left."""
            while len(points) < len(terms) and (known_at is None or terms[len(points)][0] < known_at):
                at, each = terms[len(points)]
                points.append(_shown(at, retelling.point(each, at)))

        async for some in self._touches.in_order(connection, contact_id, until=from_micros(terms[-1][0])):
            for judged in some:
                tell_before(received(judged))
                retelling.take(judged)
        tell_before(None)
        return points


def _shown(at: Micros, point: Point) -> dict[str, Any]:
    return {"at": from_micros(at), **msgspec.structs.asdict(point)}


def _in_span(activations: Sequence[Activation], span: Span) -> list[dict[str, Any]]:
    """Return the versions that were in force within the span, with when they came into force."""
    return [
        {"version": each.version, "title": each.title, "since": each.since, "until": end}
        for each, end in zip_longest(activations, [following.since for following in activations[1:]])
        if each.since <= span.until and (end is None or end > span.since)
    ]
