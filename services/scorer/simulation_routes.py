"""Simulations over HTTP: have a draft decided over the history, and see what would have been."""

import asyncio
from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from services.scorer.agreement_answering import Number, mistaken, text_of, told
from services.scorer.answering import encode_cursor, instant_cursor, number_cursor
from services.scorer.domain.leads import LeadKind
from services.scorer.errors import SimulationMissing
from services.scorer.simulation_asking import Asking
from services.scorer.simulation_showing import SimulationResults, show_lead, show_simulation
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import Simulation, SimulationStore
from shared.agreement.model import Agreement
from shared.agreement.parse import parse_draft
from shared.clock import Clock
from shared.http.keys import KeyRing, Role, require
from shared.http.pages import Cursor, Limit, json_response

SIMULATORS = (Role.MARKETING, Role.SALES, Role.ADMIN)

Since = Annotated[str, Query(description="How far back leads are looked at, such as `90d`.")]
Segment = Annotated[str, Query(description="A trait to count leads by, such as `account.industry`.")]
Capacity = Annotated[int | None, Query(ge=0, le=10_000_000, description="Leads a week that sales can take.")]
Kind = Annotated[list[LeadKind], Query(description="Which leads; may be given again.")]


def create_simulating_routes(
    engine: AsyncEngine,
    *,
    simulations: SimulationStore,
    agreements: AgreementStore,
    keys: KeyRing,
    clock: Clock,
    on_request: Callable[[], None],
) -> APIRouter:
    """Build the routes that ask for a simulation; `on_request` is called after somebody did."""
    router = APIRouter(prefix="/v1/agreements")

    @router.post("/simulate", status_code=202)
    async def simulate_text(
        request: Request, since: Since = "90d", segment: Segment = "", capacity: Capacity = None
    ) -> Response:
        """Have a text decided over the history, as YAML, without proposing it."""
        principal = require(keys, request, *SIMULATORS)
        asking = Asking(since=since, segment=segment, capacity=capacity, by=principal.name, at=clock())
        text = await text_of(request)
        parsed = await asyncio.to_thread(parse_draft, text)
        if not isinstance(parsed, Agreement):
            raise mistaken(parsed)
        async with engine.begin() as connection:
            active = await agreements.active_version(connection)
            asked = asking.text(text, parsed, active=active)
            with told():
                await simulations.add(connection, asked)
        on_request()
        return json_response({**show_simulation(asked), "result": None}, 202)

    @router.post("/{version}/simulate", status_code=202)
    async def simulate(
        request: Request, version: Number, since: Since = "90d", segment: Segment = "", capacity: Capacity = None
    ) -> Response:
        """Have a version decided over the history, beside the active one."""
        principal = require(keys, request, *SIMULATORS)
        asking = Asking(since=since, segment=segment, capacity=capacity, by=principal.name, at=clock())
        async with engine.begin() as connection:
            with told():
                draft = await agreements.read(connection, version)
                asked = asking.version(draft, active=await agreements.active_version(connection))
                await simulations.add(connection, asked)
        on_request()
        return json_response({**show_simulation(asked), "result": None}, 202)

    return router


def create_simulation_routes(
    engine: AsyncEngine,
    *,
    simulations: SimulationStore,
    leads: SimulatedLeadStore,
    contacts: ContactStore,
    handoffs: HandoffStore,
    agreements: AgreementStore,
    keys: KeyRing,
    clock: Clock,
) -> APIRouter:
    """Build the routes that show simulations and what they found."""
    router = APIRouter(prefix="/v1/simulations")
    results = SimulationResults(leads=leads, handoffs=handoffs, agreements=agreements)

    @router.get("")
    async def list_simulations(request: Request, cursor: Cursor = None, limit: Limit = 50) -> Response:
        """List simulations, newest first, without their results."""
        require(keys, request, *SIMULATORS)
        before = instant_cursor(cursor)
        async with engine.connect() as connection:
            found = await simulations.page(connection, before=before, limit=limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        more = f"{last.requested_at.isoformat()} {last.id}" if last else None
        shown = [show_simulation(simulation) for simulation in found[:limit]]
        return json_response({"simulations": shown, "next": encode_cursor(more)})

    @router.get("/{simulation_id}")
    async def read_simulation(request: Request, simulation_id: UUID) -> Response:
        """Return how far a simulation is, and its result once it is done.

        `accounts` says how many of the leads are accounts', where either agreement has a threshold for them.
        """
        require(keys, request, *SIMULATORS)
        async with engine.connect() as connection:
            with told():
                found = await _found(connection, simulations, simulation_id)
            with told():
                result = await results.of(connection, found)
        return json_response({**show_simulation(found), "result": result})

    @router.get("/{simulation_id}/leads")
    async def list_leads(
        request: Request,
        simulation_id: UUID,
        kind: Kind = [LeadKind.GAINED, LeadKind.LOST],  # noqa: B006  # FastAPI copies it
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """List leads with names and reasons: those that the draft gains and loses, unless others are asked for."""
        require(keys, request, *SIMULATORS)
        after = number_cursor(cursor) or 0
        async with engine.connect() as connection:
            with told():
                found = await _found(connection, simulations, simulation_id)
            rows = await leads.page(connection, found.comparison_id, kinds=kind, after=after, limit=limit + 1)
            shown = [await show_lead(connection, contacts, row) for row in rows[:limit]]
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        return json_response({"leads": shown, "next": encode_cursor(more)})

    @router.post("/{simulation_id}/cancel")
    async def cancel(request: Request, simulation_id: UUID) -> Response:
        """End a simulation; one that has ended stays as it is."""
        require(keys, request, *SIMULATORS)
        async with engine.begin() as connection:
            with told():
                await _found(connection, simulations, simulation_id)
            await simulations.cancel(connection, simulation_id, now=clock())
            found = await _found(connection, simulations, simulation_id)
        return json_response(show_simulation(found))

    return router


async def _found(connection: AsyncConnection, simulations: SimulationStore, simulation_id: UUID) -> Simulation:
    found = await simulations.read(connection, simulation_id)
    if found is None:
        raise SimulationMissing(f"There is no simulation {simulation_id}.")
    return found
