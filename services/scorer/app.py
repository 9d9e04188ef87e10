"""The scorer, put together: it counts touches, decides who is sales-ready, and keeps the agreement."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text

from services.scorer.accounts import AccountDecider
from services.scorer.api import create_router
from services.scorer.erasing import Eraser
from services.scorer.handlers import Scorer
from services.scorer.holding import Holding
from services.scorer.judging import Judging
from services.scorer.merging import Merging
from services.scorer.overruling import Overruling
from services.scorer.replaying import Replaying
from services.scorer.roster import Roster
from services.scorer.settings import ScorerSettings
from services.scorer.shadowing import Shadowing
from services.scorer.simulation_worker import simulating_worker
from services.scorer.store import tables
from services.scorer.store.accounts import AccountStore
from services.scorer.store.agreements import AgreementStore
from services.scorer.store.contacts import ContactStore
from services.scorer.store.erasures import ErasureStore
from services.scorer.store.handoffs import HandoffStore
from services.scorer.store.merges import MergeStore
from services.scorer.store.replays import ReplayStore
from services.scorer.store.shadows import ShadowStore
from services.scorer.store.simulated_leads import SimulatedLeadStore
from services.scorer.store.simulations import SimulationStore
from services.scorer.store.touches import TouchStore
from services.scorer.sweeper import Sweeper
from services.scorer.telling import Telling
from services.scorer.worker import deciding_accounts, once_readable, repricing, scoring_worker, sweeping
from shared.outbox_gauges import measuring
from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.service import Service


@asynccontextmanager
async def open_scorer(settings: ScorerSettings, platform: Platform) -> AsyncIterator[Service]:
    """Open the service on the platform; nothing is read or written before it runs."""
    engine = platform.engine
    positions = Positions(engine, tables.position, owner=platform.owner)
    outbox = Outbox(engine, tables.outbox, platform.log)
    contacts, touches, agreements = ContactStore(), TouchStore(), AgreementStore()
    handoffs, accounts = HandoffStore(), AccountStore()
    erasures, roster = ErasureStore(handoffs), Roster(accounts)
    judging = Judging(touches, settings.limits())
    holding = Holding(engine, contacts)
    telling = Telling(touches, handoffs, outbox, platform.metrics)
    eraser = Eraser(
        engine=engine,
        holding=holding,
        contacts=contacts,
        erasures=erasures,
        roster=roster,
        outbox=outbox,
        metrics=platform.metrics,
        clock=platform.clock,
    )
    scorer = Scorer(
        engine,
        positions=positions,
        holding=holding,
        judging=judging,
        merging=Merging(contacts, touches, MergeStore(), handoffs, judging),
        telling=telling,
        roster=roster,
        contacts=contacts,
        touches=touches,
        erasures=erasures,
        handoffs=handoffs,
        eraser=eraser,
        agreements=agreements,
        metrics=platform.metrics,
        clock=platform.clock,
    )
    sweeper = Sweeper(
        engine,
        telling=telling,
        roster=roster,
        contacts=contacts,
        touches=touches,
        agreements=agreements,
        clock=platform.clock,
    )
    overruling = Overruling(
        engine,
        holding=holding,
        telling=telling,
        roster=roster,
        contacts=contacts,
        touches=touches,
        agreements=agreements,
        clock=platform.clock,
    )
    deciding = AccountDecider(
        engine,
        accounts=accounts,
        contacts=contacts,
        agreements=agreements,
        telling=telling,
        metrics=platform.metrics,
        clock=platform.clock,
    )
    simulations, shadows = SimulationStore(), ShadowStore()
    shadowing = Shadowing(engine, shadows=shadows, simulations=simulations, agreements=agreements, clock=platform.clock)
    scoring = scoring_worker(platform, scorer=scorer, positions=positions, settings=settings)
    asked = asyncio.Event()
    agreed, activated = asyncio.Event(), asyncio.Event()
    replaying = Replaying(
        engine,
        agreements=agreements,
        contacts=contacts,
        touches=touches,
        replays=ReplayStore(),
        metrics=platform.metrics,
        clock=platform.clock,
        on_activation=activated.set,
    )

    def wake() -> None:
        agreed.set()
        activated.set()

    async def readiness() -> tuple[str, ...]:
        missing = [] if await platform.log.reachable() else ["the log cannot be reached"]
        try:
            async with engine.connect() as connection:
                if not await connection.scalar(text("SELECT to_regclass('scorer.outbox') IS NOT NULL")):
                    missing.append("the database is not migrated: run `tandem db migrate`")
        except Exception as error:
            if not passes(error):
                raise
            missing.append("PostgreSQL cannot be reached")
        return (*missing, *scoring.missing(), *scoring.halted())

    yield Service(
        name="scorer",
        router=create_router(
            engine,
            scorer=scorer,
            eraser=eraser,
            overruling=overruling,
            contacts=contacts,
            touches=touches,
            agreements=agreements,
            accounts=accounts,
            handoffs=handoffs,
            simulations=simulations,
            simulated_leads=SimulatedLeadStore(),
            shadows=shadows,
            shadowing=shadowing,
            keys=platform.keys,
            clock=platform.clock,
            on_activation=wake,
            on_simulation=asked.set,
        ),
        workers={
            "scoring": once_readable(platform, agreements, scoring.run),
            "cooling": sweeping("cooling", sweeper.arm_cooled, every=settings.cooling_every, wake=asyncio.Event()),
            "repricing": repricing(sweeper, every=settings.repricing_every, wake=activated),
            "replaying": sweeping("replaying", replaying.go_on, every=settings.repricing_every, wake=agreed),
            "accounts": deciding_accounts(deciding, every=settings.accounts_every),
            "accounts_cooling": sweeping(
                "accounts_cooling", deciding.arm_cooled, every=settings.cooling_every, wake=asyncio.Event()
            ),
            "simulating": simulating_worker(
                engine,
                simulations=simulations,
                shadowing=shadowing,
                database_url=settings.database_url.get_secret_value(),
                owner=platform.owner,
                clock=platform.clock,
                every=settings.simulating_every,
                wake=asked,
            ),
            "outbox": outbox.relay,
            "gauges": measuring(platform, outbox, service="scorer"),
        },
        readiness=readiness,
        liveness=scoring.hung,
    )
