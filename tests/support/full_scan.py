"""Looking for a text in every column of every table, however it is stored."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_TABLES = text(
    "SELECT table_schema, table_name FROM information_schema.tables"
    " WHERE table_schema = ANY(:schemas) AND table_type = 'BASE TABLE' ORDER BY 1, 2"
)


async def rows_that_hold(
    engine: AsyncEngine, schemas: Sequence[str], words: Sequence[str], *, tables: Sequence[str] = ()
) -> list[str]:
    """Return `schema.table: word` for each row in which a word is found; without words, for each row.

    A row is read as text, and its bytes as the text that they encode.
    """
    found = []
    async with engine.connect() as connection:
        for schema, table in (await connection.execute(_TABLES, {"schemas": list(schemas)})).all():
            if tables and table not in tables:
                continue
            for row in (await connection.execute(text(f'SELECT * FROM "{schema}"."{table}"'))).all():
                said = " ".join(
                    bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else repr(value)
                    for value in row
                )
                found += [f"{schema}.{table}: {word}" for word in words or [""] if word in said]
    return found
