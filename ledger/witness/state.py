"""What a witness remembers: its logs, the latest checkpoint that it cosigned of each, and evidence.

One SQLite file, WAL, ``synchronous=FULL``: a commit that returned is on the disk. `State.deciding` takes the write
lock *before* it reads the latest checkpoint and keeps it until the new one is committed, so that check and set are one
step for all threads and processes; the update names the row that was read; and triggers refuse, whatever the code
does, a size or a time that goes back, another root for a size, and that a log's row is ever removed.

The file is the witness's promise. A copy that is older than the newest cosignature makes it break that promise: when
the file is lost, or was restored from a backup, the witness's key MUST be given up and a new witness made.

Sizes are kept as 8 big-endian bytes: SQLite's integers end at 2**63 - 1, tree sizes at 2**64 - 1.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.witness.limits import MAX_EVIDENCE, MAX_FORKS
from dataseal.ledger.witness.wire import origin_hash

SCHEMA: Final = "1"
BUSY_TIMEOUT: Final = 10.0
"""Seconds to wait for another process: a decision holds the lock for one commit."""

FORK: Final = "fork"
"""Two roots for one size, both signed by the log: a proof."""
OLDER: Final = "older"
"""A checkpoint below the latest one: a log that was rolled back, or one that merely comes late."""
UNPROVEN: Final = "unproven"
"""A larger checkpoint without a proof that holds: a rewritten log, or a request that is merely wrong."""

_NO: Final = "SELECT RAISE(ABORT, 'a witness never goes back')"
_TABLES: Final = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE keys (origin TEXT NOT NULL, vkey TEXT NOT NULL, PRIMARY KEY (origin, vkey)) STRICT;
CREATE TABLE latest (
    origin TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, size BLOB NOT NULL CHECK (length(size) = 8),
    root BLOB NOT NULL CHECK (length(root) = 32), timestamp INTEGER NOT NULL CHECK (timestamp > 0), note BLOB NOT NULL
) STRICT;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, size BLOB NOT NULL,
    root BLOB NOT NULL, note BLOB NOT NULL, latest BLOB NOT NULL, UNIQUE (origin, kind, size, root)
) STRICT;
CREATE TRIGGER latest_forward BEFORE UPDATE ON latest WHEN NEW.origin <> OLD.origin OR NEW.hash <> OLD.hash
    OR NEW.size < OLD.size OR (NEW.size = OLD.size AND NEW.root <> OLD.root) OR NEW.timestamp < OLD.timestamp
    BEGIN {_NO}; END;
CREATE TRIGGER latest_stays BEFORE DELETE ON latest BEGIN {_NO}; END;
CREATE TRIGGER latest_once BEFORE INSERT ON latest
    WHEN EXISTS (SELECT 1 FROM latest WHERE origin = NEW.origin OR hash = NEW.hash) BEGIN {_NO}; END;
CREATE TRIGGER meta_stays BEFORE UPDATE ON meta BEGIN {_NO}; END;
"""  # noqa: S608  our own text


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest checkpoint that was cosigned: ``note`` carries the log's signatures and ours, dated ``timestamp``."""

    size: int
    root: bytes
    timestamp: int
    note: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two checkpoints signed by one log that do not go together: ``note``, handed in at ``at``, and ``latest``."""

    kind: str
    at: int
    size: int
    root: bytes
    note: bytes
    latest: bytes


class Decision:
    """One log's record under the write lock: within `State.deciding` only."""

    def __init__(self, connection: sqlite3.Connection, origin: str) -> None:
        self._connection = connection
        self._origin = origin
        self.latest = _latest(connection, "origin", origin)

    def advance(self, new: Latest) -> None:
        """Makes ``new`` the latest checkpoint.

        Raises:
            IntegrityError: the record is no longer the one that was read, or would go back.
        """
        row = (_size(new.size), new.root, new.timestamp, new.note)
        if self.latest is None:
            sql = "INSERT INTO latest (size, root, timestamp, note, origin, hash) VALUES (?, ?, ?, ?, ?, ?)"
            changed = self._connection.execute(sql, (*row, self._origin, origin_hash(self._origin))).rowcount
        else:
            old = (self._origin, _size(self.latest.size), self.latest.root)
            sql = "UPDATE latest SET size=?, root=?, timestamp=?, note=? WHERE origin=? AND size=? AND root=?"
            changed = self._connection.execute(sql, (*row, *old)).rowcount
        if changed != 1:
            raise IntegrityError(f"the witness's record of {self._origin!r} changed under its own lock")

    def keep(self, kind: str, *, at: int, size: int, root: bytes, note: bytes) -> None:
        """Keeps a signed checkpoint beside the latest one as evidence, once."""
        assert self.latest is not None
        key = (self._origin, kind, _size(size), root)
        known = "SELECT 1 FROM evidence WHERE origin=? AND kind=? AND size=? AND root=?"
        if self._connection.execute(known, key).fetchone():
            return
        many = self._connection.execute("SELECT count(*) FROM evidence WHERE origin=? AND kind=?", key[:2])
        count = int(many.fetchone()[0])
        if kind == FORK and count >= MAX_FORKS:
            return
        if kind != FORK and count >= MAX_EVIDENCE:
            oldest = "SELECT min(id) FROM evidence WHERE origin=? AND kind=?"
            self._connection.execute(f"DELETE FROM evidence WHERE id=({oldest})", key[:2])  # noqa: S608  our own text
        sql = "INSERT INTO evidence (origin, kind, size, root, at, note, latest) VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._connection.execute(sql, (*key, at, note, self.latest.note))


class State:
    """A witness's file, open. Threads may share it; they take turns."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Opens the file; with ``create`` makes it.

        Raises:
            UsageError: it is missing (or there, with ``create``), or of another schema.
        """
        if path.exists() if create else not path.is_file():
            raise UsageError(
                f"{path} exists; a witness's state is never overwritten" if create else f"no witness state at {path}",
                hint=None if create else "run `dataseal ledger witness init`; if it was lost, make a witness anew",
            )
        self._lock = threading.Lock()
        with _translated():
            uri = f"file:{quote(str(path.absolute()))}?mode={'rwc' if create else 'rw'}"
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        try:
            with _translated():
                if create:
                    self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                if create:
                    script = f"BEGIN IMMEDIATE; {_TABLES} INSERT INTO meta VALUES ('schema', '{SCHEMA}'); COMMIT;"  # noqa: S608
                    self._connection.executescript(script)
            if self.meta().get("schema") != SCHEMA:
                raise UsageError(f"{path} is no witness state of schema {SCHEMA}")
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def deciding(self, origin: str) -> Iterator[Decision]:
        """The log's record, which nobody else changes meanwhile; committed and on the disk when the block has ended.

        Raises:
            Unavailable: the file is locked, or can't be written.
        """
        with self._writing() as connection:
            yield Decision(connection, origin)

    def meta(self) -> dict[str, str]:
        """Name and keys of the witness."""
        return dict(self._read("SELECT key, value FROM meta"))

    def describe(self, values: dict[str, str]) -> None:
        """Sets the witness's name and keys, once."""
        with self._writing() as connection:
            connection.executemany("INSERT INTO meta VALUES (?, ?)", values.items())

    def add_key(self, origin: str, vkey: str) -> bool:
        """Witnesses a log by one more key; False if it does already."""
        with self._writing() as connection:
            row = (origin, vkey)
            return connection.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", row).rowcount == 1

    def remove_key(self, origin: str, vkey: str) -> bool:
        """Witnesses a log by this key no longer; what was cosigned of it stays known. False if it was not listed."""
        with self._writing() as connection:
            return connection.execute("DELETE FROM keys WHERE origin=? AND vkey=?", (origin, vkey)).rowcount == 1

    def keys(self, origin: str) -> list[str]:
        """The log's keys; empty for an unknown log."""
        return [row[0] for row in self._read("SELECT vkey FROM keys WHERE origin=? ORDER BY vkey", origin)]

    def origins(self) -> list[str]:
        """Every log that is or was witnessed."""
        return [row[0] for row in self._read("SELECT origin FROM keys UNION SELECT origin FROM latest ORDER BY 1")]

    def latest(self, origin: str) -> Latest | None:
        """The latest cosigned checkpoint of a log."""
        with self._lock, _translated():
            return _latest(self._connection, "origin", origin)

    def latest_by_hash(self, hash_: str) -> Latest | None:
        """The same, by the SHA-256 of the origin in hexadecimal."""
        with self._lock, _translated():
            return _latest(self._connection, "hash", hash_)

    def evidence(self, origin: str) -> list[Evidence]:
        """What was kept of a log, in order."""
        rows = self._read("SELECT kind, at, size, root, note, latest FROM evidence WHERE origin=? ORDER BY id", origin)
        return [Evidence(k, at, int.from_bytes(size, "big"), root, note, old) for k, at, size, root, note, old in rows]

    def _read(self, sql: str, *values: Any) -> Sequence[Any]:
        with self._lock, _translated():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated():
            # IMMEDIATE: the lock first, then the reading. A deferred transaction would read, and then find out that
            # another process was faster.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _latest(connection: sqlite3.Connection, column: str, value: str) -> Latest | None:
    sql = f"SELECT size, root, timestamp, note FROM latest WHERE {column}=?"  # noqa: S608  a column name of ours
    row = connection.execute(sql, (value,)).fetchone()
    return Latest(int.from_bytes(row[0], "big"), row[1], row[2], row[3]) if row else None


def _size(size: int) -> bytes:
    return size.to_bytes(8, "big")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise IntegrityError(f"the witness's state refused the change: {error}") from error
    except sqlite3.DatabaseError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise Unavailable("the witness's state is locked by another process") from error
        if "not a database" in str(error) or "malformed" in str(error) or "no such table" in str(error):
            raise IntegrityError(
                f"the witness's state is damaged or is none: {error}",
                hint="never restore it from a backup: make a new witness with a new key",
            ) from error
        raise Unavailable(f"the witness's state can't be used: {error}", hint="check disk space and rights") from error
