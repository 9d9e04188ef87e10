"""Inserting many rows by one statement: an array for each column, which PostgreSQL unpacks.

Sent row by row, each row costs PostgreSQL a message to bind and one to execute; this way it costs its writing only.
Rows keep their order, so numbers that the table gives out follow it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, Executable, Select, Table, Text, bindparam, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection


class ArrayInsert:
    """An INSERT into these columns, built once. Rows that meet another under `unless` are left out.

    `beside` is selected by the same statement: a round trip less for what has to be called with each.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        unless: Sequence[str] = (),
        beside: Select[Any] | None = None,
    ) -> None:
        self._columns = tuple(columns)
        self._json = frozenset(name for name in columns if isinstance(table.c[name].type, JSONB))
        added = _statement(table, self._columns, self._json, unless)
        self._statement: Executable = added
        if beside is not None:
            self._statement = beside.add_cte(added.returning(literal(1)).cte("added"))

    async def execute(
        self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]], **parameters: object
    ) -> None:
        """Insert the rows, each with a value for every column. `parameters` are those of what is selected beside."""
        if rows:
            arrays = {name: self._values(name, rows) for name in self._columns}
            await connection.execute(self._statement, arrays | parameters)

    def _values(self, name: str, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        values = [row[name] for row in rows]
        if name not in self._json:
            return values
        return [None if value is None else msgspec.json.encode(value).decode() for value in values]


def _statement(table: Table, columns: tuple[str, ...], json: frozenset[str], unless: Sequence[str]) -> Insert:
    types = {name: Text() if name in json else table.c[name].type for name in columns}
    rows = (
        func.unnest(*(bindparam(name, type_=ARRAY(types[name])) for name in columns))
        .table_valued(*columns, name="given")
        .render_derived()
    )
    values = [cast(rows.c[name], JSONB) if name in json else rows.c[name] for name in columns]
    statement = insert(table).from_select(list(columns), select(*values))
    return statement.on_conflict_do_nothing(index_elements=list(unless)) if unless else statement
