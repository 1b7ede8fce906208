"""What a follower must know of the entries before the next one, to judge it: links, releases, states.

The chain of each entry (``prev``, ``dataset_prev``, ``logged_at``) and the admission rules speak of what went before.
A `Replay` gathers that entry by entry, in a small SQLite file, so that a follower goes on where it stopped without
reading the log again; or in memory (``:memory:``), for one walk from the first entry to the last.

What was gathered since the last `commit` is gone after a crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Newest
from dataseal.ledger.closing import Closing, Succession
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.statement import Statement

MEMORY: Final = ":memory:"
VERSION: Final = 2
STATE: Final = "the follower's state"

_TABLES: Final = """
CREATE TABLE position (next INTEGER NOT NULL, leaf BLOB, logged_at TEXT NOT NULL);
INSERT INTO position VALUES (0, NULL, '');
CREATE TABLE datasets (name TEXT PRIMARY KEY, last INTEGER NOT NULL, leaf BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE releases (dataset TEXT, version TEXT, sequence INTEGER NOT NULL, root TEXT NOT NULL,
                       PRIMARY KEY (dataset, version)) WITHOUT ROWID;
CREATE TABLE newest (dataset TEXT PRIMARY KEY, version TEXT NOT NULL, sequence INTEGER NOT NULL, root TEXT NOT NULL)
                     WITHOUT ROWID;
CREATE TABLE states (dataset TEXT, root TEXT, PRIMARY KEY (dataset, root)) WITHOUT ROWID;
CREATE TABLE closings (place INTEGER PRIMARY KEY, log TEXT NOT NULL, successor TEXT, reason TEXT NOT NULL);
CREATE TABLE statements (payload BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE spool (id TEXT PRIMARY KEY, body BLOB, sent INTEGER NOT NULL DEFAULT 0);
"""


class Replay:
    """The entries so far, as `admission.History` and as a chain. Used by one thread.

    Attributes:
        next: index of the entry that comes next. leaf: leaf hash of the one before it.
        closings: the closed entries so far that held.
        connection: the SQLite file, for what else belongs to one position (`dataseal.ledger.alarms`).
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.next: int
        self.leaf: bytes | None
        row = connection.execute("SELECT next, leaf, logged_at FROM position").fetchone()
        self.next, self.leaf, self._logged_at = row
        rows = connection.execute("SELECT place, log, successor, reason FROM closings ORDER BY place")
        self.closings = [Closing(*row) for row in rows]

    def check_chain(self, header: entries.Header) -> None:
        """Checks the links of the entry that comes next.

        Raises:
            IntegrityError: one of them does not lead to what went before.
        """
        if header.prev != self.leaf:
            raise IntegrityError("the hash chain is broken: prev is not the leaf hash of the entry before it")
        row = self._one("SELECT last, leaf FROM datasets WHERE name = ?", header.dataset)
        if header.dataset_prev != (entries.Link(*row) if row else None):
            raise IntegrityError(f"dataset_prev does not name the entry before it of {header.dataset!r}")
        if header.logged_at < self._logged_at:
            raise IntegrityError(f"logged_at goes back from {self._logged_at} to {header.logged_at}")

    def succession(self, keys: Collection[str]) -> Succession:
        """The closed entries so far, as they bind the log with these verifier keys."""
        return Succession(keys, self.closings)

    def add(
        self, leaf: bytes, header: entries.Header | None, statement: Statement | None, closing: Closing | None = None
    ) -> None:
        """Takes the entry that comes next, as far as it could be read; ``closing`` when it closes a log."""
        with _translated(STATE):
            if header is not None:
                values = (header.dataset, self.next, leaf)
                self.connection.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?)", values)
                self._logged_at = header.logged_at
            if header is not None and statement is not None and header.kind in ("release", "modification"):
                self._add_state(statement)
            if closing is not None:
                row = (closing.index, closing.log, closing.successor, closing.reason)
                self.connection.execute("INSERT INTO closings VALUES (?, ?, ?, ?)", row)
                self.closings.append(closing)
        self.next, self.leaf = self.next + 1, leaf

    def _add_state(self, statement: Statement) -> None:
        dataset, version, root = statement.dataset, statement.version, statement.root
        self.connection.execute("INSERT OR IGNORE INTO states VALUES (?, ?)", (dataset, root))
        self.connection.execute("INSERT OR IGNORE INTO statements VALUES (?)", (sha256(statement.payload),))
        if statement.kind == "release":
            row = (dataset, version, statement.predicate["sequence"], root)  # a statement that was checked before
            self.connection.execute("INSERT OR IGNORE INTO releases VALUES (?, ?, ?, ?)", row)
            self.connection.execute("INSERT OR REPLACE INTO newest VALUES (?, ?, ?, ?)", row)

    def commit(self) -> None:
        """Makes what was gathered last.

        Raises:
            Unavailable: it can't be written.
        """
        with _translated(STATE):
            values = (self.next, self.leaf, self._logged_at)
            self.connection.execute("UPDATE position SET next = ?, leaf = ?, logged_at = ?", values)
            self.connection.execute("COMMIT")
            self.connection.execute("BEGIN IMMEDIATE")

    def newest_release(self, dataset: str) -> Newest | None:
        """The newest release, or None."""
        row = self._one("SELECT sequence, version, root FROM newest WHERE dataset = ?", dataset)
        return Newest(*row) if row else None

    def has_version(self, dataset: str, version: str) -> bool:
        """Whether the version was released."""
        return self._one("SELECT 1 FROM releases WHERE dataset = ? AND version = ?", dataset, version) is not None

    def has_root(self, dataset: str, root: str) -> bool:
        """Whether a release or modification of the dataset has or leads to the root."""
        return self._one("SELECT 1 FROM states WHERE dataset = ? AND root = ?", dataset, root) is not None

    def has_state(self, dataset: str) -> bool:
        """Whether the dataset has any release or modification."""
        return self._one("SELECT 1 FROM states WHERE dataset = ? LIMIT 1", dataset) is not None

    def has_statement(self, statement: Statement) -> bool:
        """Whether the log holds this release or modification, of these very bytes, whoever signed it."""
        return self._one("SELECT 1 FROM statements WHERE payload = ?", sha256(statement.payload)) is not None

    def _one(self, query: str, *values: str | bytes) -> Any:
        with _translated(STATE):
            return self.connection.execute(query, values).fetchone()


@contextmanager
def open_replay(path: Path | None = None) -> Iterator[Replay]:
    """The replay kept at ``path``, made when there is none; in memory without a path. Alone with it until closed.

    Raises:
        UsageError: the file is damaged, or of another version.
        Unavailable: another process has it, or it can't be used.
    """
    name = str(path) if path else MEMORY
    with _translated(name):
        connection = sqlite3.connect(name, isolation_level=None, timeout=1.0)
    try:
        with _translated(name):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if not version:
                for statement in _TABLES.strip().split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise UsageError(
                    f"the follower's state has version {version}; this dataseal reads {VERSION}",
                    where=name,
                    hint="remove it: the log is then followed from its first entry again",
                )
            replay = Replay(connection)
        yield replay
    finally:
        connection.close()  # what was not committed is rolled back


@contextmanager
def _translated(where: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        hint = "another monitor with the same questions may be at work; else check permissions and free space"
        raise Unavailable(f"the follower's state can't be used: {error}", where=where, hint=hint) from None
    except sqlite3.DatabaseError as error:
        raise UsageError(
            f"the follower's state is damaged: {error}",
            where=where,
            hint="restore it, or remove it: the log is then followed from its first entry again",
        ) from None
