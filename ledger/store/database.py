"""Opening the ledger's database, and turning its errors into ours.

SQLite: one file in WAL mode with ``synchronous=FULL``; a commit that returned is on the disk. Writers take the lock
when they begin (``BEGIN IMMEDIATE``), so that what they read is what they extend; others wait `BUSY_TIMEOUT` seconds.
Connections stay open between transactions, since closing the last one makes SQLite write the WAL back; a file that was
moved away or replaced meanwhile is noticed before it is used again, and no connection crosses a fork.

PostgreSQL: ``postgresql+psycopg://…``; see `dataseal.ledger.store.postgres`.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.pool import NullPool

from dataseal.ledger.errors import DatasealError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.store import postgres
from dataseal.ledger.store.driver import Driver

BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another writer: an append holds the lock for milliseconds."""

IDLE_CONNECTIONS: Final = 4
"""Open connections that wait for use: a server's threads read through more of them only for moments."""

WAL_PAGES: Final = 2048
"""Pages after which SQLite writes the WAL back (8 MiB), and fills it anew. A commit into a file that need not grow
costs half as much; large batches want it larger, so that pages which many of them touch are written back once."""

CACHE_KIB: Final = 32 * 1024
"""Pages that a connection keeps, at most: with SQLite's default of 2 MB, a large batch spills and is written twice."""

_DAMAGED: Final = ("not a database", "malformed", "no such table", "no such column", "decode to UTF-8")

_engines: weakref.WeakKeyDictionary[Engine, _Idle] = weakref.WeakKeyDictionary()


class Contended(Unavailable):
    """The database gave up this transaction in favour of another one: it may be tried again."""


def _forget() -> None:
    for engine, idle in _engines.items():
        idle.connections.clear()
        engine.dispose(close=False)  # the parent's connections are the parent's


os.register_at_fork(after_in_child=_forget)


class _Idle:
    """Connections to a file that stay checked out of the pool: taking one and giving it back costs as much as a query.

    Args:
        path: the ledger's file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.connections: deque[PoolProxiedConnection] = deque()  # whose ends are safe to use by several threads

    def take(self, engine: Engine) -> PoolProxiedConnection:
        """An open connection; to the file that has the name now."""
        while self.connections:
            try:
                pooled = self.connections.pop()
            except IndexError:  # another thread was first
                break
            if self.path is None or pooled.info["file"] == _identity(self.path):
                return pooled
            pooled.invalidate()
        return engine.raw_connection()

    def give(self, pooled: PoolProxiedConnection) -> None:
        """Takes a connection back; what was not committed is rolled back."""
        raw: Any = pooled.driver_connection
        if self.path is None or raw is None or len(self.connections) >= IDLE_CONNECTIONS:
            pooled.close()
            return
        if raw.in_transaction:
            raw.rollback()
        self.connections.append(pooled)


def close(engine: Engine) -> None:
    """Closes an engine's connections that nobody uses."""
    idle = _engines.get(engine)
    while idle and idle.connections:
        idle.connections.pop().close()
    engine.dispose()


def open_engine(where: Path | str, *, create: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> Engine:
    """An engine for the ledger in the file ``where``, or in the database with that URL.

    Raises:
        UsageError: see `open_sqlite`; or a URL that can't be used.
    """
    if isinstance(where, str) and postgres.is_url(where):
        engine = postgres.open_postgres(where, busy_timeout=busy_timeout)
        _engines[engine] = _Idle(None)
        return engine
    return open_sqlite(Path(where), create=create, busy_timeout=busy_timeout)


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
    path = path.absolute()
    # mode=rw: a ledger that was moved away must not come back as an empty file.
    uri = f"file:{_quote(str(path))}?mode={'rwc' if create else 'rw'}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
        ),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA foreign_keys=ON")
        if create:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        record.info["file"] = _identity(path)

    _engines[engine] = _Idle(path)
    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _quote(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _begin_sqlite(raw: Any, info: dict[Any, Any], *, write: bool, durable: bool) -> None:
    if write and info.get("durable") != durable:
        raw.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        info["durable"] = durable
    raw.execute("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def transaction(engine: Engine, *, write: bool = False, durable: bool = True) -> Iterator[Driver]:
    """A transaction for many small statements; committed when the block ends without an error.

    Args:
        write: it may write, and nobody else writes meanwhile; without it, it is one consistent view.
        durable: the commit waits for the disk. Without it a power cut may undo the commit as a whole, never half;
            what comes after it and is durable makes it durable too.
    """
    with translated():
        idle = _engines[engine]
        try:
            pooled = idle.take(engine)
        except postgres.driver_errors() as error:
            raise _translate(error, lost=False) from error
        try:
            raw: Any = pooled.driver_connection
            if engine.dialect.name == postgres.NAME:
                postgres.begin(raw, write=write, durable=durable)
            else:
                _begin_sqlite(raw, pooled.info, write=write, durable=durable)
            yield Driver(engine, pooled)
            raw.commit()
        finally:
            idle.give(pooled)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read transaction through SQLAlchemy: one consistent view."""
    with transaction(engine) as driver:
        yield driver.connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A write transaction through SQLAlchemy; committed when the block ends without an error."""
    with transaction(engine, write=True) as driver:
        yield driver.connection


@contextmanager
def translated() -> Iterator[None]:
    """Database errors as ours."""
    try:
        yield
    except DatasealError:
        raise
    except DBAPIError as error:
        lost = error.connection_invalidated or isinstance(error, InterfaceError)
        raise _translate(error.orig or error, lost=lost) from error
    except postgres.driver_errors() as error:  # of statements that went to the driver
        raise _translate(error, lost=postgres.lost(error)) from error


def _translate(error: BaseException, *, lost: bool) -> DatasealError:
    text = " ".join(str(error).split(" with text ")[0].split())
    if type(error).__name__ in ("IntegrityError", "UniqueViolation") or "append-only" in text:
        if "append-only" in text:
            return IntegrityError(f"the ledger refused the change: {text}")
        # Writers take turns, so that no other one was first: rows stand where none should.
        return IntegrityError(f"the ledger contradicts itself: {text}", hint="run `dataseal ledger check`")
    state = getattr(error, "sqlstate", None)
    if state in postgres.CONTENDED:
        return Contended(f"the ledger's database gave up for another writer: {text}", hint="run the command again")
    if "locked" in text or "busy" in text or state == postgres.LOCK_TIMEOUT:
        return Unavailable(
            "the ledger is locked by another process",
            hint="wait for the other dataseal command to end, and run this one again",
        )
    if "full" in text or "disk I/O" in text or "too large" in text:
        return Unavailable(f"the ledger can't be written: {text}", hint="free some disk space; nothing was recorded")
    if "readonly" in text or "read-only" in text or "unable to open" in text or state == postgres.NO_PRIVILEGE:
        return Unavailable(f"the ledger can't be opened for writing: {text}", hint="check its permissions")
    if any(sign in text for sign in _DAMAGED) or state == postgres.NO_TABLE:
        return IntegrityError(f"the ledger file is damaged or is not a ledger: {text}", hint="restore it from a backup")
    if lost or (state or "").startswith(("08", "57P")):
        return Unavailable(
            f"the connection to the ledger's database was lost: {text}",
            hint="run the command again: what was recorded will be found, and nothing is recorded twice",
        )
    return Unavailable(f"the ledger's database failed: {text}")
