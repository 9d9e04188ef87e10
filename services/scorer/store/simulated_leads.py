"""Leads that a simulation or a shadow found, and what they add up to.

All sums are made of the rows when they are asked for, so who is erased is in none of them any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.leads import Lead, LeadKind
from services.scorer.store.tables import simulated_lead

# Waits for whoever holds a contact, an erasure too, and leaves out whom it took away.
_HOLD = "SELECT id FROM scorer.contact WHERE id = ANY($1::uuid[]) ORDER BY id FOR KEY SHARE"
_KNOWN = """
    SELECT DISTINCT contact_id FROM scorer.simulated_lead WHERE comparison_id = $1 AND contact_id = ANY($2::uuid[])
"""
_FORGET = "DELETE FROM scorer.simulated_lead WHERE comparison_id = $1 AND contact_id = ANY($2::uuid[])"
_ADD = """
    INSERT INTO scorer.simulated_lead
        (comparison_id, contact_id, kind, active_at, draft_at, made_at, outcome, outcome_reason, segment, why)
    SELECT $1, * FROM unnest(
        $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[],
        $9::text[], $10::bytea[]
    )
"""
_KINDS = "SELECT kind, count(*) AS leads FROM scorer.simulated_lead WHERE comparison_id = $1 GROUP BY kind"
_WEEKS = """
    SELECT week, sum(active)::int AS active, sum(draft)::int AS draft, sum(made)::int AS made
    FROM (
        SELECT active_at AS at, 1 AS active, 0 AS draft, 0 AS made FROM scorer.simulated_lead WHERE comparison_id = $1
        UNION ALL
        SELECT draft_at, 0, 1, 0 FROM scorer.simulated_lead WHERE comparison_id = $1
        UNION ALL
        SELECT made_at, 0, 0, 1 FROM scorer.simulated_lead WHERE comparison_id = $1
    ) AS told, date_trunc('week', at AT TIME ZONE 'UTC') AS week
    WHERE at >= $2 AND at < $3
    GROUP BY week ORDER BY week
"""
_OUTCOMES = """
    SELECT coalesce(outcome, 'open') AS outcome, count(*)::int AS made, count(active_at)::int AS active,
        count(draft_at)::int AS draft
    FROM scorer.simulated_lead WHERE comparison_id = $1 AND made_at >= $2 AND made_at < $3
    GROUP BY 1
"""
_SEGMENTS = """
    SELECT coalesce(segment, '') AS value, count(*) FILTER (WHERE active_at >= $2 AND active_at < $3)::int AS active,
        count(*) FILTER (WHERE draft_at >= $2 AND draft_at < $3)::int AS draft,
        count(*) FILTER (WHERE kind = 'gained')::int AS gained, count(*) FILTER (WHERE kind = 'lost')::int AS lost,
        count(*) FILTER (WHERE outcome = 'won')::int AS won,
        count(*) FILTER (WHERE outcome = 'won' AND draft_at IS NOT NULL)::int AS won_of_draft,
        count(*) FILTER (WHERE outcome = 'rejected')::int AS rejected,
        count(*) FILTER (WHERE outcome = 'rejected' AND draft_at IS NOT NULL)::int AS rejected_of_draft
    FROM scorer.simulated_lead WHERE comparison_id = $1
    GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $4
"""
_DAYS = """
    SELECT (at AT TIME ZONE 'UTC')::date AS day, kind, count(*)::int AS leads
    FROM scorer.simulated_lead, least(
        CASE WHEN active_at >= $2 THEN active_at END, CASE WHEN draft_at >= $2 THEN draft_at END
    ) AS at
    WHERE comparison_id = $1 AND at IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1
"""

_OF_ACCOUNTS = """
    SELECT count(*) FILTER (WHERE active_at >= $2 AND active_at < $3 AND active = 'account')::int AS active,
        count(*) FILTER (WHERE draft_at >= $2 AND draft_at < $3 AND draft = 'account')::int AS draft
    FROM scorer.simulated_lead
    CROSS JOIN LATERAL (SELECT convert_from(why, 'UTF8')::json AS json) AS told
    CROSS JOIN LATERAL (SELECT json #>> '{active,reason}' AS active, json #>> '{draft,reason}' AS draft) AS reason
    WHERE comparison_id = $1
"""

MOST_SEGMENTS = 50

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A lead as it was kept."""

    id: int
    contact_id: UUID
    kind: LeadKind
    active_at: datetime | None
    draft_at: datetime | None
    made_at: datetime | None
    outcome: str | None
    outcome_reason: str | None
    segment: str | None
    why: Any  # {"active": Sent, "draft": Sent} as JSON


class SimulatedLeadStore:
    """The rows of `scorer.simulated_lead`."""

    async def keep(
        self,
        connection: AsyncConnection,
        comparison_id: UUID,
        leads: Mapping[UUID, Sequence[Lead]],
        *,
        segments: Mapping[UUID, str],
    ) -> None:
        """Keep the leads of these contacts, in place of what was found of them before. Nothing of the erased."""
        stale = [row.contact_id for row in await connection.exec_driver_sql(_KNOWN, (comparison_id, list(leads)))]
        found = sorted({*stale, *(contact_id for contact_id, each in leads.items() if each)})
        if not found:
            return
        # Contacts before their leads, as erasing and merging do it.
        held = {row.id for row in await connection.exec_driver_sql(_HOLD, (found,))}
        if stale:
            await connection.exec_driver_sql(_FORGET, (comparison_id, stale))
        rows = [
            (
                contact_id,
                str(lead.kind),
                lead.active.at if lead.active else None,
                lead.draft.at if lead.draft else None,
                lead.made.decided_at if lead.made else None,
                lead.made.outcome if lead.made else None,
                lead.made.rejected_because or None if lead.made else None,
                segments.get(contact_id),
                _encode({"active": lead.active, "draft": lead.draft}),
            )
            for contact_id in found
            if contact_id in held
            for lead in leads[contact_id]
        ]
        if rows:
            await connection.exec_driver_sql(_ADD, (comparison_id, *map(list, zip(*rows, strict=True))))

    async def kinds(self, connection: AsyncConnection, comparison_id: UUID) -> dict[LeadKind, int]:
        """Return how many leads there are of each kind."""
        rows = await connection.exec_driver_sql(_KINDS, (comparison_id,))
        counted = {LeadKind(row.kind): row.leads for row in rows}
        return {kind: counted.get(kind, 0) for kind in LeadKind}

    async def weeks(
        self, connection: AsyncConnection, comparison_id: UUID, *, since: datetime, until: datetime
    ) -> list[tuple[date, int, int, int]]:
        """Return the leads of active, draft and reality in each week that has any, by its Monday in UTC."""
        rows = await connection.exec_driver_sql(_WEEKS, (comparison_id, since, until))
        return [(row.week.date(), row.active, row.draft, row.made) for row in rows]

    async def outcomes(
        self, connection: AsyncConnection, comparison_id: UUID, *, since: datetime, until: datetime
    ) -> Sequence[Row[Any]]:
        """Return for each outcome how many handoffs were made, and how many of them each agreement sends."""
        return (await connection.exec_driver_sql(_OUTCOMES, (comparison_id, since, until))).all()

    async def segments(
        self, connection: AsyncConnection, comparison_id: UUID, *, since: datetime, until: datetime
    ) -> Sequence[Row[Any]]:
        """Return the leads by the value of the segment, the largest first."""
        return (await connection.exec_driver_sql(_SEGMENTS, (comparison_id, since, until, MOST_SEGMENTS))).all()

    async def of_accounts(
        self, connection: AsyncConnection, comparison_id: UUID, *, since: datetime, until: datetime
    ) -> tuple[int, int]:
        """Return how many leads of active and draft were made because an account was ready."""
        row = (await connection.exec_driver_sql(_OF_ACCOUNTS, (comparison_id, since, until))).one()
        return row.active, row.draft

    async def days(self, connection: AsyncConnection, comparison_id: UUID, *, since: datetime) -> Sequence[Row[Any]]:
        """Return how many leads of each kind every day in UTC has; a lead is of the day of whoever was first."""
        return (await connection.exec_driver_sql(_DAYS, (comparison_id, since))).all()

    async def page(
        self,
        connection: AsyncConnection,
        comparison_id: UUID,
        *,
        kinds: Collection[LeadKind],
        after: int,
        limit: int,
    ) -> list[Found]:
        """Return leads of these kinds, in the order in which they were found."""
        column = simulated_lead.c
        statement = select(simulated_lead).where(column.comparison_id == comparison_id, column.id > after)
        statement = statement.where(column.kind.in_(kinds)).order_by(column.id).limit(limit)
        return [_found(row) for row in await connection.execute(statement)]

    async def of_contact(self, connection: AsyncConnection, contact_id: UUID) -> list[tuple[UUID, Found]]:
        """Return the leads found of a contact, each with the simulation or the shadow that found it."""
        statement = select(simulated_lead).where(simulated_lead.c.contact_id == contact_id)
        rows = await connection.execute(statement.order_by(simulated_lead.c.id))
        return [(row.comparison_id, _found(row)) for row in rows]


def _found(row: Row[Any]) -> Found:
    return Found(
        id=row.id,
        contact_id=row.contact_id,
        kind=LeadKind(row.kind),
        active_at=row.active_at,
        draft_at=row.draft_at,
        made_at=row.made_at,
        outcome=row.outcome,
        outcome_reason=row.outcome_reason,
        segment=row.segment,
        why=msgspec.json.decode(row.why),
    )
