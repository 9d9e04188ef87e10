"""Ingest, put together: it accepts events and makes touches of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.api import create_router, methods_of, source_routes
from services.ingest.contact_api import contact_routes
from services.ingest.describing import described
from services.ingest.domain.identity import Caps
from services.ingest.domain.suspicion import Watch
from services.ingest.erasing import Erasing
from services.ingest.handlers import Understanding
from services.ingest.identifying import Identifying
from services.ingest.intake.fields import Limits
from services.ingest.intake.record import OWN_TOPICS
from services.ingest.keeping import Keeping
from services.ingest.merge_routes import create_merge_routes
from services.ingest.readmission_api import ReadmissionRoutes
from services.ingest.reception import Reception
from services.ingest.rejected_api import RejectedRoutes
from services.ingest.replaying import Replaying
from services.ingest.settings import IngestSettings
from services.ingest.settling import Settling
from services.ingest.source_api import SourceRoutes
from services.ingest.source_keeper import SourceKeeper
from services.ingest.sources import SourceDirectory
from services.ingest.store.aliases import Aliases
from services.ingest.store.erasures import ErasureStore
from services.ingest.store.merges import Merges
from services.ingest.store.readmissions import ReadmissionStore
from services.ingest.store.rejections import RejectionStore
from services.ingest.store.replays import ReplayStore
from services.ingest.store.sources import SourceStore
from services.ingest.store.tables import outbox as outbox_table
from services.ingest.store.tables import position
from services.ingest.worker import (
    TOPICS,
    erasures_worker,
    keeping_worker,
    settling_worker,
    understanding_worker,
)
from shared.outbox_gauges import measuring
from shared.platform import Platform
from shared.postgres.engine import passes
from shared.postgres.outbox import Outbox
from shared.postgres.positions import Positions
from shared.service import Service


@asynccontextmanager
async def open_ingest(settings: IngestSettings, platform: Platform) -> AsyncIterator[Service]:
    """Open the service on the platform; nothing is read or written before it runs."""
    positions = Positions(platform.engine, position, owner=platform.owner)
    directory = SourceDirectory(platform.keys, book=None, clock=platform.clock)
    outbox = Outbox(platform.engine, outbox_table, platform.log)
    merges = Merges(platform.engine, outbox)
    aliases = Aliases(platform.engine, merges)
    identifying = Identifying(
        aliases=aliases,
        caps=Caps(anonymous=settings.max_anonymous_ids),
        metrics=platform.metrics,
        clock=platform.clock,
    )
    understanding = Understanding(
        log=platform.log,
        identifying=identifying,
        positions=positions,
        metrics=platform.metrics,
        limits=Limits(
            max_event_bytes=settings.max_event_bytes,
            allowed_skew=settings.allowed_skew,
            placeholders=frozenset(text.lower() for text in settings.placeholder_ids),
        ),
        watch=Watch(honeypot_paths=settings.honeypot_paths, user_agents=settings.bot_user_agents),
        slice_events=settings.understand_events,
        clock=platform.clock,
        kinds={**OWN_TOPICS, **dict(settings.extra_topics)},
        mapping_of=directory.mapping_of,
    )
    worker = understanding_worker(platform, understanding=understanding, positions=positions, settings=settings)
    rejections, replays = RejectionStore(platform.engine), ReplayStore(platform.engine)
    replaying = Replaying(
        platform.engine,
        log=platform.log,
        rejections=rejections,
        replays=replays,
        topics=TOPICS,
        foreign=dict(settings.extra_topics),
        per_second=settings.replay_rate,
        keep=settings.rejected_retention,
        metrics=platform.metrics,
        clock=platform.clock,
    )
    erasures = ErasureStore()
    keeping = keeping_worker(
        platform,
        keeping=Keeping(rejections, positions, erasures=erasures, metrics=platform.metrics),
        positions=positions,
    )
    erasing = erasures_worker(
        platform,
        erasing=Erasing(log=platform.log, erasures=erasures, positions=positions, metrics=platform.metrics),
        positions=positions,
    )
    schema = _Schema(platform.engine)

    reception = Reception(
        log=platform.log, sources=directory, clock=platform.clock, metrics=platform.metrics, settings=settings
    )
    keeper = SourceKeeper(
        engine=platform.engine,
        directory=directory,
        meter=reception.meter,
        secrets=platform.secrets,
        metrics=platform.metrics,
        clock=platform.clock,
        interval=settings.source_refresh,
    )
    routes = source_routes(reception)
    router = create_router(routes)
    sources = SourceRoutes(
        keys=platform.keys,
        engine=platform.engine,
        secrets=platform.secrets,
        keeper=keeper,
        directory=directory,
        meter=reception.meter,
        clock=platform.clock,
        overlap=settings.key_overlap,
        store=SourceStore(),
    )
    router.include_router(sources.router())

    async def readiness() -> tuple[str, ...]:
        missing = [] if await platform.log.reachable() else ["the log cannot be reached"]
        missing += await schema.missing()
        return (*missing, *keeper.missing(), *worker.missing(), *erasing.missing())

    router.include_router(
        RejectedRoutes(
            keys=platform.keys,
            rejections=rejections,
            replays=replays,
            clock=platform.clock,
            can_replay=replaying.can,
            asked=replaying.announce,
        ).router()
    )
    router.include_router(
        create_merge_routes(merges, keys=platform.keys, metrics=platform.metrics, clock=platform.clock)
    )
    router.include_router(contact_routes(aliases, platform.keys))
    router.include_router(
        ReadmissionRoutes(
            keys=platform.keys,
            store=ReadmissionStore(platform.engine, erasures, outbox),
            metrics=platform.metrics,
            clock=platform.clock,
        ).router()
    )
    yield Service(
        name="ingest",
        router=router,
        posts={path: handler for path, handler in routes.items() if "POST" in methods_of(path)},
        paths=described(router),
        workers={
            "understanding": worker.run,
            "erasures": erasing.run,
            "keeping": keeping.run,
            "replaying": replaying.run,
            "forgetting": replaying.sweep,
            "settling": settling_worker(Settling(platform.engine, identifying)),
            "outbox": outbox.relay,
            "gauges": measuring(platform, outbox, service="ingest"),
            "sources": keeper.run,
            "usage": keeper.sweep,
        },
        readiness=readiness,
        liveness=lambda: (*worker.hung(), *keeping.hung(), *erasing.hung()),
    )
    await keeper.close()


class _Schema:
    """Whether the database is migrated. Asked until it is: accepting events does not need it any more after that."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._found = False

    async def missing(self) -> tuple[str, ...]:
        if self._found:
            return ()
        try:
            async with self._engine.connect() as connection:
                self._found = bool(await connection.scalar(text("SELECT to_regclass('ingest.outbox') IS NOT NULL")))
        except Exception as error:
            if not passes(error):
                raise
            return ("PostgreSQL cannot be reached",)
        return () if self._found else ("the database is not migrated: run `tandem db migrate`",)
