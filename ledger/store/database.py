"""Opening the ledger's database, and turning its errors into ours.

SQLite runs in WAL mode with ``synchronous=FULL``: a commit that returned is on the disk. Writers take the lock when
they begin (``BEGIN IMMEDIATE``), so that what they read is what they extend; others wait `BUSY_TIMEOUT` seconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import IntegrityError as DuplicateError
from sqlalchemy.pool import NullPool

from dataseal.ledger.errors import DatasealError, IntegrityError, Unavailable, UsageError

BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer: an append holds the lock for milliseconds."""

_WRITE: Final = "dataseal_write"
_DAMAGED: Final = ("not a database", "malformed", "no such table", "no such column", "decode to UTF-8")


def open_sqlite(path: Path, *, create: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> Engine:
    """An engine for the ledger file at ``path``.

    Raises:
        UsageError: the file is missing (unless ``create``), or is there (when ``create``).
    """
    if create and path.exists():
        raise UsageError(f"{path} exists; a ledger is never overwritten")
    if not create and not path.is_file():
        raise UsageError(
            f"no ledger at {path}", hint="run `dataseal init`, or name the ledger with --ledger or --workspace"
        )
    # mode=rw: a ledger that was moved away must not come back as an empty file.
    uri = f"file:{_quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        if create:
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _quote(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction: one consistent view."""
    with _translated(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction; committed when the block ends without an error."""
    with (
        _translated(),
        engine.connect().execution_options(**{_WRITE: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DatasealError:
        raise
    except DBAPIError as error:
        raise _translate(error) from error


def _translate(error: DBAPIError) -> DatasealError:
    text = " ".join(str(error.orig).split(" with text ")[0].split())
    if isinstance(error, DuplicateError):
        if "append-only" in text:
            return IntegrityError(f"the ledger refused the change: {text}")
        # Writers take turns, so that no other one was first: rows stand where none should.
        return IntegrityError(f"the ledger contradicts itself: {text}", hint="run `dataseal ledger check`")
    if "locked" in text or "busy" in text:
        return Unavailable(
            "the ledger is locked by another process",
            hint="wait for the other dataseal command to end, and run this one again",
        )
    if "full" in text or "disk I/O" in text or "too large" in text:
        return Unavailable(f"the ledger can't be written: {text}", hint="free some disk space; nothing was recorded")
    if "readonly" in text or "unable to open" in text:
        return Unavailable(f"the ledger can't be opened for writing: {text}", hint="check its permissions")
    if any(sign in text for sign in _DAMAGED):
        return IntegrityError(f"the ledger file is damaged or is not a ledger: {text}", hint="restore it from a backup")
    return Unavailable(f"the ledger's database failed: {text}")
