"""Logs of many small entries, and raw hands on their database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.tlog import merkle
from support.statements import receipt_payload, sign_bundle
from support.workspaces import Bench

TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


def log_receipts(bench: Bench, count: int, start: int = 0) -> list[bytes]:
    """Logs ``count`` receipts in one batch: entries that no rule orders. Returns their payloads."""
    payloads = [receipt_payload(number) for number in range(start, start + count)]
    bench.log.append([sign_bundle(payload, bench.gate) for payload in payloads])
    return payloads


def stored(start: int, count: int) -> list[StoredEntry]:
    """Rows of made-up entries, for the store, which looks into none."""
    return [
        StoredEntry(
            index=index,
            leaf=merkle.leaf_hash(b"%d" % index),
            body=b"%d" % index,
            kind="receipt",
            dataset="a",
            version="1",
            sequence=None,
            root="r",
            table_digest="t",
            signer="s",
            payload=str(index),
            logged_at="2026-01-02T03:04:05Z",
        )
        for index in range(start, start + count)
    ]


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
