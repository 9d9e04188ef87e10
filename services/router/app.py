"""The router put together: stores, decisions' shells, workers and routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import select
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from services.router.answering import Answers
from services.router.api import create_router
from services.router.assigning import Assigner, Swept
from services.router.attempt_ending import AttemptEnding
from services.router.attempting import Attempts
from services.router.bell import Bell
from services.router.clocking import ClockKeeper
from services.router.delivering import DeliveryWorker
from services.router.domain.answer_link import PURPOSE, AnswerLinks
from services.router.domain.webhook_schema import webhook_schemas
from services.router.endpoint_keeping import EndpointKeeper
from services.router.erasing import ErasuresHandler
from services.router.handlers import HandoffsHandler
from services.router.nurturing import NurtureHandler
from services.router.pacing import Pacing
from services.router.releasing import Releaser
from services.router.replaying import Replayer
from services.router.sender import Sender
from services.router.setting_aside import SettingAside
from services.router.settings import RouterSettings
from services.router.store import tables
from services.router.store.attempts import AttemptStore
from services.router.store.claims import ClaimStore
from services.router.store.clocks import ClockStore
from services.router.store.deliveries import DeliveryStore
from services.router.store.endpoints import EndpointStore
from services.router.store.erasures import ErasureStore
from services.router.store.given import GivenStore
from services.router.store.handoffs import HandoffStore
from services.router.store.leases import LeaseStore
from services.router.store.ledger import LedgerStore
from services.router.store.nurtures import NurtureStore
from services.router.store.queue import QueueStore
from services.router.store.replays import ReplayStore
from services.router.store.teams import TeamStore
from services.router.targets import Targets
from services.router.team_setting import TeamSetter
from services.router.tokens import Tokens
from services.router.vault import Vault
from services.router.worker import ERASURES_GROUP, GROUP, NURTURE_GROUP, Gauges, Sweeper, group_worker
from shared.events.topics import TopicName
from shared.platform import Platform
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.service import Service


@asynccontextmanager
async def open_router(settings: RouterSettings, platform: Platform) -> AsyncIterator[Service]:
    """Open the router. Connections to endpoints close with it."""
    engine, clock = platform.engine, platform.clock
    teams, handoffs, queue = TeamStore(engine), HandoffStore(engine), QueueStore(engine)
    deliveries, claims, attempts = DeliveryStore(engine), ClaimStore(engine), AttemptStore(engine)
    endpoints, replays, clocks = EndpointStore(engine), ReplayStore(engine), ClockStore(engine)
    erasures, given, nurtures = ErasureStore(), GivenStore(), NurtureStore()
    positions = Positions(engine, tables.position, owner=platform.owner)
    outbox = Outbox(engine, tables.outbox, platform.log)
    sender = Sender(
        deadline=settings.delivery_deadline,
        allowed=settings.delivery_allowed_networks,
        tls=httpx.create_ssl_context(),
    )
    links = AnswerLinks(
        keys=platform.secrets.derived(PURPOSE), public_url=settings.api_url, lifetime=settings.link_lifetime
    )
    vault = Vault(platform.secrets)
    targets = Targets(endpoints=endpoints, vault=vault, clock=clock)
    attempting = Attempts(
        sender=sender,
        tokens=Tokens(sender),
        targets=targets,
        ledger=LedgerStore(engine),
        settles_after=settings.delivery_deadline + settings.crm_search_lag,
        clock=clock,
    )
    ending = AttemptEnding(
        engine=engine,
        attempts=attempts,
        deliveries=deliveries,
        endpoints=endpoints,
        breaker=settings.breaker_policy,
        metrics=platform.metrics,
        clock=clock,
    )
    assigner = Assigner(
        engine=engine,
        teams=teams,
        handoffs=handoffs,
        queue=queue,
        given=given,
        deliveries=deliveries,
        outbox=outbox,
        metrics=platform.metrics,
        clock=clock,
        public_url=settings.api_url,
        links=links,
    )
    delivering = DeliveryWorker(
        claims=claims,
        leases=LeaseStore(engine),
        targets=targets,
        attempts=attempting,
        ending=ending,
        sender=sender,
        policy=settings.retry_policy,
        lease=settings.delivery_lease,
        pacing=Pacing(total=settings.delivery_concurrency, each=settings.delivery_endpoint_concurrency),
        metrics=platform.metrics,
        clock=clock,
    )
    replayer = Replayer(engine=engine, replays=replays, deliveries=deliveries, clock=clock, replayed=delivering.wake)

    keeper = ClockKeeper(
        engine=engine,
        clocks=clocks,
        teams=teams,
        handoffs=handoffs,
        deliveries=deliveries,
        assigner=assigner,
        outbox=outbox,
        metrics=platform.metrics,
        clock=clock,
        public_url=settings.api_url,
        links=links,
    )

    def assigned(swept: Swept) -> None:
        outbox.announce()
        keeper.heed(swept)

    def taken_back() -> None:
        outbox.announce()
        keeper.wake()

    sweeper = Sweeper(assigner, interval=settings.sweep_interval, assigned=assigned, clock=clock)

    def team_changed() -> None:
        sweeper.wake()
        delivering.wake()
        keeper.wake()

    endpoint_keeper = EndpointKeeper(
        engine=engine,
        endpoints=endpoints,
        vault=vault,
        targets=targets,
        attempts=attempting,
        ending=ending,
        clock=clock,
        changed=delivering.wake,
        public_url=settings.api_url,
    )

    def replayed() -> None:
        replayer.wake()
        delivering.wake()

    handoffs_handler = HandoffsHandler(
        positions=positions,
        teams=teams,
        handoffs=handoffs,
        deliveries=deliveries,
        nurtures=nurtures,
        erasures=erasures,
        assigner=assigner,
        outbox=outbox,
        metrics=platform.metrics,
        clock=clock,
        assigned=assigned,
        queued=sweeper.wake,
        withdrawn=taken_back,
    )

    def erased() -> None:
        sweeper.wake()  # who had the handoff has room for another
        taken_back()

    erasures_handler = ErasuresHandler(
        positions=positions,
        teams=teams,
        handoffs=handoffs,
        deliveries=deliveries,
        erasures=erasures,
        nurtures=nurtures,
        outbox=outbox,
        clock=clock,
        erased=erased,
    )
    nurture_handler = NurtureHandler(
        positions=positions,
        teams=teams,
        nurtures=nurtures,
        deliveries=deliveries,
        outbox=outbox,
        clock=clock,
        told=outbox.announce,
    )
    set_aside = SettingAside(positions=positions, outbox=outbox, clock=clock).set_aside
    groups = {
        name: group_worker(platform, group, topic, positions=positions, handle=handle, set_aside=set_aside)
        for name, group, topic, handle in (
            ("handoffs", GROUP, TopicName.HANDOFFS, handoffs_handler.handle),
            ("erasures", ERASURES_GROUP, TopicName.CONTACTS, erasures_handler.handle),
            ("nurture", NURTURE_GROUP, TopicName.NURTURE, nurture_handler.handle),
        )
    }
    answers = Answers(
        engine=engine,
        teams=teams,
        handoffs=handoffs,
        outbox=outbox,
        metrics=platform.metrics,
        clock=clock,
        freed=sweeper.wake,
    )
    gauges = Gauges(
        queue=queue, deliveries=deliveries, clocks=clocks, outbox=outbox, metrics=platform.metrics, clock=clock
    )
    router = create_router(
        platform=platform,
        settings=settings,
        teams=teams,
        handoffs=handoffs,
        deliveries=deliveries,
        attempts=attempts,
        endpoints=endpoints,
        replays=replays,
        keeper=endpoint_keeper,
        answers=answers,
        links=links,
        releaser=Releaser(engine=engine, handoffs=handoffs, queue=queue, released=sweeper.wake),
        setter=TeamSetter(
            engine=engine,
            teams=teams,
            handoffs=handoffs,
            deliveries=deliveries,
            keeper=endpoint_keeper,
            clock=clock,
            changed=team_changed,
        ),
        replayed=replayed,
    )

    async def readiness() -> tuple[str, ...]:
        return (
            *await _database_missing(platform),
            *(line for group in groups.values() for line in (*group.missing(), *group.halted())),
        )

    try:
        yield Service(
            name="router",
            router=router,
            workers={
                **{name: group.run for name, group in groups.items()},
                "queue": sweeper.run,
                "clock": keeper.run,
                "deliveries": delivering.run,
                "bell": Bell(engine, rung=delivering.wake).run,
                "replays": replayer.run,
                "outbox": outbox.relay,
                "gauges": gauges.run,
            },
            readiness=readiness,
            schemas=webhook_schemas(),
            liveness=lambda: tuple(line for group in groups.values() for line in group.hung()),
        )
    finally:
        await sender.aclose()


async def _database_missing(platform: Platform) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(2), platform.engine.connect() as connection:
            await connection.execute(select(tables.team.c.version))
    except ProgrammingError:
        return ("the schema is missing; run `tandem db migrate`",)
    except (SQLAlchemyError, OSError, TimeoutError):
        return ("PostgreSQL cannot be reached",)
    return ()
