"""What every service stands on: database, log, keys, metrics. Opened once a process, shared in `tandem up`."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import Clock, utc_now
from shared.http.keys import KeyRing, read_keys
from shared.log.opening import open_log
from shared.log.protocol import EventLog
from shared.log.worker import SET_ASIDE_LIMIT
from shared.postgres.engine import open_engine
from shared.secrets import SecretBox
from shared.settings import SharedSettings
from shared.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Platform:
    """The resources that services share."""

    engine: AsyncEngine
    log: EventLog
    keys: KeyRing
    metrics: Metrics
    clock: Clock
    set_aside_limit: int = field(default=SET_ASIDE_LIMIT, kw_only=True)
    owner: str  # host and process, written beside what this process claims
    secrets: SecretBox = field(default_factory=SecretBox)


@asynccontextmanager
async def open_platform(settings: SharedSettings, *, name: str, clock: Clock = utc_now) -> AsyncIterator[Platform]:
    """Open the resources and close them in reverse. Raises KeysError, SecretsError.

    Servers that are away do not fail the opening; readiness tells, and the workers wait.
    """
    keys = KeyRing(read_keys(settings.keys_file) if settings.keys_file else [])
    secrets = SecretBox(settings.secret_key.get_secret_value() if settings.secret_key else None)
    url = settings.database_url.get_secret_value()
    async with (
        open_engine(url, name=name, pool_size=settings.database_pool) as engine,
        open_log(
            kafka_bootstrap=settings.kafka_bootstrap,
            database_url=url,
            name=name,
            append_timeout=settings.append_timeout,
            security=settings.kafka_security(),
        ) as log,
    ):
        yield Platform(
            engine=engine,
            log=log,
            keys=keys,
            metrics=Metrics(),
            clock=clock,
            set_aside_limit=settings.set_aside_limit,
            owner=f"{socket.gethostname()}:{os.getpid()}",
            secrets=secrets,
        )
