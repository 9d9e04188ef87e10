"""All three services in one process, on an embedded PostgreSQL unless other servers are named."""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.ingest.app import open_ingest
from services.ingest.settings import IngestSettings
from services.router.app import open_router
from services.router.settings import RouterSettings
from services.scorer.app import open_scorer
from services.scorer.settings import ScorerSettings
from shared.events.topics import TopicName
from shared.keeping import keep_once
from shared.log.protocol import EventLog
from shared.log.records import Topic
from shared.platform import Platform, open_platform
from shared.postgres.embedded import EmbeddedPostgres
from shared.postgres.migrate import migrate
from shared.runtime import listen, run
from shared.service import Service
from shared.settings import SharedSettings, load_settings


@dataclass(frozen=True, slots=True)
class Standalone:
    """The opened services and what they share."""

    services: tuple[Service, ...]
    platform: Platform
    settings: SharedSettings


@asynccontextmanager
async def open_standalone(database_url: str, **overrides: Any) -> AsyncIterator[Standalone]:
    """Migrate the database, create the topics and open ingest, scorer and router on one platform."""
    overrides = {"database_url": database_url, **overrides}
    ingest_settings = load_settings(IngestSettings, **_known_to(IngestSettings, overrides))
    scorer_settings = load_settings(ScorerSettings, **_known_to(ScorerSettings, overrides))
    router_settings = load_settings(RouterSettings, **_known_to(RouterSettings, overrides))
    await migrate(database_url)
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(ingest_settings, name="tandem"))
        await create_topics(platform.log, ingest_settings)
        services = (
            await stack.enter_async_context(open_ingest(ingest_settings, platform)),
            await stack.enter_async_context(open_scorer(scorer_settings, platform)),
            await stack.enter_async_context(open_router(router_settings, platform)),
        )
        yield Standalone(services=services, platform=platform, settings=ingest_settings)


def _known_to(kind: type[SharedSettings], overrides: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in overrides.items() if name in kind.model_fields}


async def create_topics(log: EventLog, settings: SharedSettings) -> list[Topic]:
    """Create the topics that are missing, with the partitions and retention of the settings."""
    hours = max(1, int(settings.topic_retention.total_seconds() // 3600))
    topics = [Topic(name=name, partitions=settings.topic_partitions, retention_hours=hours) for name in TopicName]
    await log.create_topics(topics)
    return topics


async def run_standalone(
    database_url: str,
    *,
    port: int | None,
    keys_file: Path,
    on_ready: Callable[[str], None],
    stopping: asyncio.Event | None = None,
    **overrides: Any,
) -> None:
    """Run all services until a signal, or until `stopping` is set. Raises OSError when the port is taken."""
    overrides |= {"keys_file": keys_file} | ({} if port is None else {"port": port})
    async with open_standalone(database_url, **overrides) as standalone:
        settings = standalone.settings
        with contextlib.closing(listen(settings.host, settings.port)) as sock:
            await run(
                standalone.services,
                sock=sock,
                metrics=standalone.platform.metrics,
                drain_timeout=settings.drain_timeout,
                bounds=settings.bounds(),
                stopping=stopping,
                on_ready=on_ready,
            )


@asynccontextmanager
async def open_database(data_directory: Path) -> AsyncIterator[str]:
    """Yield the URL of the database that the environment names, else of an embedded PostgreSQL in the directory."""
    if named := os.environ.get("TANDEM_DATABASE_URL"):
        yield named
        return
    async with EmbeddedPostgres(data_directory / "postgres") as postgres:
        yield postgres.url


def keys_beside(data_directory: Path) -> Path:
    """Return the keys file of the data directory, made with a key for each role at the first start."""
    path = data_directory / "keys.yaml"
    keep_once(path, _new_keys)
    return path


def _new_keys() -> str:
    entries = [
        {"role": "source", "name": "website", "kind": "web", "key": f"wk_{secrets.token_urlsafe(24)}"},
        {"role": "source", "name": "campaigns", "kind": "campaign", "key": f"wk_{secrets.token_urlsafe(24)}"},
        *(
            {"role": role, "name": role.title(), "key": f"{role}_{secrets.token_urlsafe(24)}"}
            for role in ("marketing", "sales", "rep", "admin")
        ),
    ]
    return yaml.safe_dump(entries, sort_keys=False)
