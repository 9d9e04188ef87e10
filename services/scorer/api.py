"""The scorer's HTTP surface."""

from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.account_routes import create_account_routes
from services.scorer.agreement_history_routes import create_agreement_history_routes
from services.scorer.agreement_routes import create_agreement_routes
from services.scorer.consent_routes import create_consent_routes
from services.scorer.contact_routes import create_contact_routes
from services.scorer.erasing import Eraser
from services.scorer.export_routes import create_export_routes
from services.scorer.handlers import Scorer
from services.scorer.history import History
from services.scorer.history_routes import create_history_routes
from services.scorer.overruling import Overruling
from services.scorer.shadow_routes import create_shadow_routes
from services.scorer.shadowing import Shadowing
from services.scorer.simulation_routes import create_simulating_routes, create_simulation_routes
from services.scorer.standing import Standings
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import SimulationStore
from services.scorer.store.touches import TouchStore
from services.scorer.verdict_routes import create_verdict_routes
from shared.clock import Clock
from shared.http.keys import KeyRing


def create_router(
    engine: AsyncEngine,
    *,
    scorer: Scorer,
    eraser: Eraser,
    overruling: Overruling,
    contacts: ContactStore,
    touches: TouchStore,
    agreements: AgreementStore,
    accounts: AccountStore,
    handoffs: HandoffStore,
    simulations: SimulationStore,
    simulated_leads: SimulatedLeadStore,
    shadows: ShadowStore,
    shadowing: Shadowing,
    keys: KeyRing,
    clock: Clock,
    on_activation: Callable[[], None],
    on_simulation: Callable[[], None],
) -> APIRouter:
    """Build all routes; `on_activation` is called after both sides signed, `on_simulation` after a request for one."""
    router = APIRouter()
    standings = Standings(touches=touches, agreements=agreements, handoffs=handoffs, clock=clock)
    router.include_router(
        create_contact_routes(
            engine, standings=standings, contacts=contacts, touches=touches, agreements=agreements, keys=keys
        )
    )
    history = History(standings, touches=touches, agreements=agreements)
    router.include_router(create_history_routes(engine, history=history, contacts=contacts, keys=keys, clock=clock))
    router.include_router(
        create_account_routes(engine, accounts=accounts, agreements=agreements, keys=keys, clock=clock)
    )
    router.include_router(create_verdict_routes(overruling, engine, agreements=agreements, keys=keys))
    router.include_router(
        create_consent_routes(engine, scorer=scorer, eraser=eraser, contacts=contacts, keys=keys, clock=clock)
    )
    router.include_router(
        create_export_routes(
            engine,
            contacts=contacts,
            touches=touches,
            handoffs=handoffs,
            simulated_leads=simulated_leads,
            keys=keys,
            clock=clock,
        )
    )
    router.include_router(create_agreement_history_routes(engine, agreements=agreements, keys=keys))
    router.include_router(
        create_shadow_routes(
            engine, shadowing=shadowing, shadows=shadows, leads=simulated_leads, contacts=contacts, keys=keys
        )
    )
    router.include_router(
        create_simulating_routes(
            engine, simulations=simulations, agreements=agreements, keys=keys, clock=clock, on_request=on_simulation
        )
    )
    router.include_router(
        create_simulation_routes(
            engine,
            simulations=simulations,
            leads=simulated_leads,
            contacts=contacts,
            handoffs=handoffs,
            agreements=agreements,
            keys=keys,
            clock=clock,
        )
    )
    router.include_router(
        create_agreement_routes(engine, agreements=agreements, keys=keys, clock=clock, on_activation=on_activation)
    )
    return router
