"""Statements of SQLAlchemy's core, run by the database's driver.

SQLAlchemy writes the SQL, for SQLite and PostgreSQL, once for each statement; after that, statement and values go to
the driver's own ``execute``, on a connection of SQLAlchemy's pool and within one transaction. Going through SQLAlchemy
each time costs ten times as much CPU, and a single append takes a dozen statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

Values = dict[str, Any]


class Driver:
    """The driver below a connection of an engine's pool, until its transaction ends."""

    def __init__(self, engine: Engine, pooled: PoolProxiedConnection) -> None:
        self._engine, self._pooled = engine, pooled
        self._dialect = engine.dialect
        self._raw: Any = pooled.driver_connection

    @cached_property
    def connection(self) -> Connection:
        """The same connection and transaction through SQLAlchemy, for statements that are rare or take lists."""
        return Connection(self._engine, self._pooled)

    def all(self, statement: ClauseElement, **values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        sql, names, defaults = _compiled(statement, self._dialect)
        given = {**defaults, **values}
        rows: list[tuple[Any, ...]] = self._raw.execute(sql, [given[n] for n in names] if names else given).fetchall()
        return rows

    def one(self, statement: ClauseElement, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        sql, names, defaults = _compiled(statement, self._dialect)
        given = {**defaults, **values}
        row: tuple[Any, ...] | None = self._raw.execute(sql, [given[n] for n in names] if names else given).fetchone()
        return row

    def run(self, statement: ClauseElement, **values: Any) -> None:
        """Runs a statement that gives no rows."""
        sql, names, defaults = _compiled(statement, self._dialect)
        given = {**defaults, **values}
        self._raw.execute(sql, [given[n] for n in names] if names else given)

    def insert(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts rows, whose values are in the order of the table's columns."""
        if len(rows) == 1:
            self._raw.execute(_insert(table, self._dialect.paramstyle), rows[0])
        elif rows:
            self._raw.cursor().executemany(_insert(table, self._dialect.paramstyle), rows)


@lru_cache(maxsize=256)
def _compiled(statement: ClauseElement, dialect: Dialect) -> tuple[str, tuple[str, ...], Values]:
    """SQL, the names of its values when they go by position, and values that the statement brings itself."""
    compiled: Any = statement.compile(dialect=dialect)
    names = tuple(compiled.positiontup) if compiled.positional and compiled.positiontup else ()
    return str(compiled), names, dict(compiled.params)


@lru_cache(maxsize=32)
def _insert(table: Table, paramstyle: str) -> str:
    mark = "?" if paramstyle == "qmark" else "%s"
    columns = ", ".join(f'"{column.name}"' for column in table.c)
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join([mark] * len(table.c))})"  # noqa: S608  our names
