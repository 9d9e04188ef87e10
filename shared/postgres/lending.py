"""Connections of the pool, lent as asyncpg knows them: for statements so hot that SQLAlchemy would be felt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.postgres.engine import passes


@asynccontextmanager
async def lend(engine: AsyncEngine, *, timeout: timedelta) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection, each of whose statements commits by itself, for at most `timeout`. Raises TimeoutError.

    A connection on which something was cut off is closed at once: a server that hangs would hold up its next user.
    """
    async with asyncio.timeout(timeout.total_seconds()), engine.connect() as connection:
        driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
        try:
            yield driver
        except BaseException as error:
            if passes(error) or not isinstance(error, asyncpg.PostgresError):
                driver.terminate()
                await connection.invalidate()
            raise
