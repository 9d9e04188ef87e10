"""What the API shows of simulations and shadows."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from services.scorer.domain.leads import LeadKind
from services.scorer.domain.state import ContactState
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.shadows import Shadow
from services.scorer.store.simulated_leads import Found, SimulatedLeadStore
from services.scorer.store.simulations import Simulation, SimulationStatus
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_agreement

_WEEK = timedelta(days=7)
_NAMES = (("first_name", "firstName"), ("last_name", "lastName"))
_ENDED = ("won", "lost", "rejected", "recycled", "qualified", "accepted", "open")


def show_simulation(simulation: Simulation) -> dict[str, Any]:
    """Return what was asked for and how far it is."""
    return {
        "id": simulation.id,
        "status": simulation.status,
        "progress": round(simulation.progress, 4),
        "contacts": simulation.contacts,
        "touches": simulation.touches,
        "draft": {
            "version": simulation.draft_version,
            "title": simulation.draft_title,
            "hash": simulation.draft_hash,
        },
        "active": simulation.active_version,
        "since": simulation.since,
        "until": simulation.until,
        "segment": simulation.segment or None,
        "capacity": simulation.capacity,
        "requested_by": simulation.requested_by,
        "requested_at": simulation.requested_at,
        "started_at": simulation.started_at,
        "finished_at": simulation.finished_at,
        "problem": simulation.problem,
    }


class SimulationResults:
    """Tells what simulations found."""

    def __init__(self, *, leads: SimulatedLeadStore, handoffs: HandoffStore, agreements: AgreementStore) -> None:
        self._leads = leads
        self._handoffs = handoffs
        self._agreements = agreements

    async def of(self, connection: AsyncConnection, simulation: Simulation) -> dict[str, Any] | None:
        """Return the result of one, None before it is done."""
        if simulation.status is not SimulationStatus.DONE:
            return None
        result = await _found(connection, self._leads, simulation)
        return result | {"accounts": await self._accounts(connection, simulation)}

    async def _accounts(self, connection: AsyncConnection, simulation: Simulation) -> dict[str, Any] | None:
        """Return how many of the leads are accounts', None where there are none to tell of."""
        agreed_by = []
        if simulation.active_version is not None:
            active = await self._agreements.terms(connection, simulation.active_version)
            agreed_by += ["active"] if active.accounts is not None else []
        draft = await asyncio.to_thread(parse_agreement, simulation.draft_text)
        if isinstance(draft, Agreement) and draft.accounts is not None:
            agreed_by.append("draft")
        since, until = simulation.since, simulation.until
        made = await self._handoffs.made_for_accounts(connection, since=since, until=until)
        if not (agreed_by or made):
            return None
        found = await self._leads.of_accounts(connection, simulation.comparison_id, since=since, until=until)
        counts = {"active": found[0], "draft": found[1], "made": made}
        return {"simulated": simulation.accounts, "agreed_by": agreed_by, **counts}


async def _found(connection: AsyncConnection, leads: SimulatedLeadStore, simulation: Simulation) -> dict[str, Any]:
    since, until = simulation.since, simulation.until
    kinds = await leads.kinds(connection, simulation.comparison_id)
    found = {
        week: (active, draft, made)
        for week, active, draft, made in await leads.weeks(
            connection, simulation.comparison_id, since=since, until=until
        )
    }
    weeks: list[dict[str, Any]] = [
        dict(zip(("week", "days", "active", "draft", "made"), (week, days, *found.get(week, (0, 0, 0))), strict=True))
        for week, days in weeks_of(since, until)
    ]
    active, draft, made = (sum(week[side] for week in weeks) for side in ("active", "draft", "made"))
    per_week = _WEEK / (until - since)
    outcomes = {row.outcome: row for row in await leads.outcomes(
        connection, simulation.comparison_id, since=since, until=until
    )}  # fmt: skip
    segments = None
    if simulation.segment:
        rows = await leads.segments(connection, simulation.comparison_id, since=since, until=until)
        segments = [dict(row._mapping) for row in rows]  # noqa: SLF001  # its public name for a mapping
    capacity = simulation.capacity
    return {
        "leads": {
            "active": active,
            "draft": draft,
            "made": made,
            "both": kinds[LeadKind.BOTH],
            "gained": kinds[LeadKind.GAINED],
            "lost": kinds[LeadKind.LOST],
        },
        "per_week": {"active": round(active * per_week, 2), "draft": round(draft * per_week, 2)},
        "weeks": weeks,
        "weeks_over_capacity": None if capacity is None else {
            side: sum(week[side] > capacity for week in weeks) for side in ("active", "draft")
        },
        "outcomes": [
            {"outcome": name, "made": row.made, "active": row.active, "draft": row.draft}
            for name in _ENDED
            if (row := outcomes.get(name)) is not None
        ],
        "segments": segments,
    }  # fmt: skip


def weeks_of(since: datetime, until: datetime) -> list[tuple[date, int]]:
    """Return the Mondays, in UTC, of the weeks between, with how many of their days fall in between."""
    first, last = since.astimezone(UTC).date(), (until - timedelta(microseconds=1)).astimezone(UTC).date()
    week = first - timedelta(days=first.weekday())
    weeks = []
    while week <= last:
        sunday = week + timedelta(days=6)
        weeks.append((week, (min(sunday, last) - max(week, first)).days + 1))
        week += timedelta(days=7)
    return weeks


async def show_lead(connection: AsyncConnection, contacts: ContactStore, found: Found) -> dict[str, Any]:
    """Return a lead with the name that its contact has now."""
    owner = await contacts.find(connection, found.contact_id)
    return {
        "contact": {"id": found.contact_id, "name": None, "email": None, "account": None}
        if owner is None
        else {"id": owner[0], **_names(owner[1])},
        "kind": found.kind,
        "active": found.why["active"],
        "draft": found.why["draft"],
        "made_at": found.made_at,
        "outcome": found.outcome,
        "outcome_reason": found.outcome_reason,
        "segment": found.segment,
    }


async def show_shadow(connection: AsyncConnection, leads: SimulatedLeadStore, shadow: Shadow) -> dict[str, Any]:
    """Return a shadow with all days that were compared, those without a lead too."""
    counted: dict[date, dict[str, int]] = {}
    for row in await leads.days(connection, shadow.id, since=shadow.started_at):
        counted.setdefault(row.day, {})[row.kind] = row.leads
    days = [
        {
            "day": day,
            "both": counted.get(day, {}).get(LeadKind.BOTH, 0),
            "only_active": counted.get(day, {}).get(LeadKind.LOST, 0),
            "only_draft": counted.get(day, {}).get(LeadKind.GAINED, 0),
        }
        for day in _days(shadow.started_at, shadow.compared_until)
    ]
    return {
        "version": shadow.version,
        "active": shadow.active_version,
        "status": shadow.status,
        "started_by": shadow.started_by,
        "started_at": shadow.started_at,
        "compared_until": shadow.compared_until,
        "ended_at": shadow.ended_at,
        "ended_because": shadow.ended_because,
        "days": days,
    }


def _days(since: datetime, until: datetime) -> Sequence[date]:
    if until <= since:
        return []
    first, last = since.astimezone(UTC).date(), (until - timedelta(microseconds=1)).astimezone(UTC).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _names(state: ContactState) -> dict[str, Any]:
    profile = state.profile()
    told = ((profile.get(snake) or profile.get(camel)) for snake, camel in _NAMES)
    full = " ".join(str(name) for name in told if name)
    return {
        "name": str(profile.get("name") or full) or None,
        "email": profile.get("email"),
        "account": state.account_domain() or None,
    }
