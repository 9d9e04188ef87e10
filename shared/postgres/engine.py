"""The connection to PostgreSQL, and which of its errors pass by themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# 08 connection, 40 rolled back (deadlock, serialization), 53 resources, 55 lock not available, 57 shutdown and cancel.
_PASSING_STATES = ("08", "40", "53", "55", "57")

# The kinds of errors of which some pass.
PASSING: tuple[type[Exception], ...] = (
    DBAPIError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    PoolTimeout,
)


def asyncpg_url(url: str) -> str:
    """Return the URL with the asyncpg driver, whatever driver or scheme alias it names."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


@asynccontextmanager
async def open_engine(
    url: str, *, name: str, pool_size: int = 5, statement_timeout: timedelta = timedelta(seconds=30)
) -> AsyncIterator[AsyncEngine]:
    """Open a pool of at most `2 * pool_size` connections, each announced to the server as `name`."""
    engine = create_async_engine(
        asyncpg_url(url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=False,
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": name,
                "jit": "off",
                "statement_timeout": str(int(statement_timeout.total_seconds() * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    try:
        yield engine
    finally:
        await engine.dispose()


def _refuse_closed(connection: Any, *_: object) -> None:
    """Have the pool replace a connection that the server closed while it lay idle; asking costs no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def passes(error: BaseException) -> bool:
    """Tell whether the error comes from a server that is away, busy or restarting, so that a retry may succeed."""
    match error:
        case DBAPIError():
            return error.connection_invalidated or passes(error.driver_exception)
        case asyncpg.PostgresError():
            return (error.sqlstate or "")[:2] in _PASSING_STATES
        case asyncpg.InterfaceError() | asyncpg.InternalClientError():
            # A connection that breaks at the wrong moment; but a value that does not fit its column never will.
            return not isinstance(error, ValueError)
        case OSError() | PoolTimeout() | TimeoutError():
            return True
        case _:
            return False
