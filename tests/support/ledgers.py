"""Logs of many small entries, and raw hands on their database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger.statement import KINDS, encode
from dataseal.ledger.store import segments
from dataseal.ledger.store.models import StoredEntry
from support import statements
from support.statements import ROOT, TABLE, receipt_payload, sign_bundle
from support.workspaces import Bench

TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


def log_receipts(bench: Bench, count: int, start: int = 0) -> list[bytes]:
    """Logs ``count`` receipts in one batch: entries that no rule orders. Returns their payloads."""
    payloads = [receipt_payload(number) for number in range(start, start + count)]
    bench.log.append([sign_bundle(payload, bench.gate) for payload in payloads])
    return payloads


def stored(start: int, count: int, **changes: Any) -> list[StoredEntry]:
    """Rows of made-up entries, for the store, which looks into no signature."""
    return [made_up(index, **changes) for index in range(start, start + count)]


def made_up(
    index: int,
    kind: str = "receipt",
    *,
    dataset: str = "a",
    version: str = "1",
    root: str = ROOT,
    table: str = TABLE,
    sequence: int = 1,
    signer: str = "s",
    logged_at: str = "2026-01-02T03:04:05Z",
) -> StoredEntry:
    """A row of an entry that nobody signed and nothing links."""
    predicate = statements.release(sequence=sequence, tree=statements.tree(root)) if kind == "release" else {"n": index}
    kinds = {name: uri for uri, name in KINDS.items()}
    payload = encode(kinds[kind], predicate, dataset=dataset, version=version, table=table, root=root)
    header = entries.Header(kind, dataset, logged_at, None, None)
    key = statements.signer().public
    return StoredEntry(index, entries.Entry(header, bundles.encode(payload, b"signature", key)).encode(), signer=signer)


@contextmanager
def raw(path: Path, *, without_triggers: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection as somebody with SQLite and the file has it; committed at the end."""
    with closing(sqlite3.connect(path)) as connection:
        if without_triggers:
            for (name,) in connection.execute(TRIGGERS).fetchall():
                connection.execute(f"DROP TRIGGER {name}")
        yield connection
        connection.commit()


def tamper(path: Path, statement: str, values: Sequence[object] = ()) -> None:
    """Runs one statement with the triggers out of the way, as a thief of the file would."""
    with raw(path, without_triggers=True) as connection:
        changed = connection.execute(statement, values).rowcount
        assert changed, f"nothing was changed by {statement}"


def tamper_entry(path: Path, index: int, body: bytes) -> None:
    """Puts other bytes in an entry's place."""
    with raw(path, without_triggers=True) as connection:
        query = "SELECT first, entries, data FROM segments WHERE first <= ? ORDER BY first DESC LIMIT 1"
        first, count, data = connection.execute(query, (index,)).fetchone()
        bodies = segments.decode(first, count, data)
        bodies[index - first] = body
        connection.execute("UPDATE segments SET data = ? WHERE first = ?", (segments.encode(bodies), first))
