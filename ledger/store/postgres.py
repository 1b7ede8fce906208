"""A ledger in a PostgreSQL database: the same tables, by ``postgresql+psycopg://user@host/database``.

Writers take one lock of the ledger before they read anything (an advisory lock that ends with the transaction), so that
what they read is what they extend, on any isolation level; readers see one snapshot and wait for nobody. A commit that
returned is as durable as the server makes its commits: ``synchronous_commit`` is switched on where a server has it off.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from dataseal.ledger.errors import UsageError

NAME: Final = "postgresql"
CONTENDED: Final = ("40001", "40P01")
"""SQLSTATE of a serialization failure and of a deadlock: the transaction may be tried again."""
LOCK_TIMEOUT: Final = "55P03"
NO_PRIVILEGE: Final = "42501"
NO_TABLE: Final = "42P01"

CONNECT_SECONDS: Final = 10
"""Seconds to wait for the server's answer to a connection."""

_DURABLE: Final = """
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('dataseal'), hashtext(current_schema()))"


def is_url(where: str) -> bool:
    """Whether ``where`` names a PostgreSQL database."""
    return where.startswith(("postgresql://", "postgresql+psycopg://", "postgres://"))


def open_postgres(where: str, *, busy_timeout: float) -> Engine:
    """An engine for the database at a URL.

    Raises:
        UsageError: no URL of a database, or its driver is not installed.
    """
    scheme, _, rest = where.partition("://")
    assert scheme.startswith("postgres")
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
        connect = {"connect_timeout": CONNECT_SECONDS}
        engine = create_engine(url, connect_args=connect, pool_pre_ping=True, max_overflow=-1)
    except ModuleNotFoundError:
        raise UsageError(
            "PostgreSQL needs psycopg, which is not installed", hint="pip install 'dataseal[postgres]'"
        ) from None
    except (ArgumentError, ValueError):
        raise UsageError(
            "not the URL of a PostgreSQL database", hint="such as postgresql+psycopg://user@host/database"
        ) from None

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(busy_timeout * 1000)}")
            cursor.execute(_DURABLE)
        connection.commit()

    return engine


def begin(raw: Any, *, write: bool, durable: bool) -> None:
    """Begins a transaction on a connection of psycopg's: of one snapshot, or with the writers' lock until it ends."""
    psycopg: Any = sys.modules["psycopg"]
    raw.isolation_level = None if write else psycopg.IsolationLevel.REPEATABLE_READ
    raw.read_only = None if write else True
    if write:
        if not durable:
            raw.execute("SET LOCAL synchronous_commit = off")
        raw.execute(_LOCK)


def driver_errors() -> tuple[type[Exception], ...]:
    """What drivers raise: SQLite's, and psycopg's when it is in use."""
    psycopg: Any = sys.modules.get("psycopg")
    return (sqlite3.Error, psycopg.Error) if psycopg else (sqlite3.Error,)


def lost(error: Exception) -> bool:
    """Whether psycopg says that there is no connection any more."""
    psycopg: Any = sys.modules.get("psycopg")
    return bool(psycopg and isinstance(error, psycopg.OperationalError) and not getattr(error, "sqlstate", None))
