"""Which entries match: by dataset, kind, signer, subject digest and time, newest first, through indexes.

Entries stand in the order of their ``logged_at``, which never decreases; so a time range is a range of indexes, found
by halving, and needs no index of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from dataseal.ledger.statement import KINDS
from dataseal.ledger.store.models import ENTRIES
from dataseal.ledger.store.store import View


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for; None matches all.

    Attributes:
        dataset, kind, signer: as the entry's columns. subject: a dataset root, or the SHA-256 of a shard table.
        since, until: bounds of ``logged_at``, both included. before: only indexes below.
    """

    before: int
    dataset: str | None = None
    kind: str | None = None
    signer: str | None = None
    subject: str | None = None
    since: str | None = None
    until: str | None = None


def search(view: View, wanted: Search, limit: int) -> list[int]:
    """The newest ``limit`` indexes that match, newest first."""
    start, stop = 0, wanted.before
    if wanted.since is not None:
        start = bisect_left(range(stop), wanted.since, key=lambda index: _time(view, index))
    if wanted.until is not None:
        stop = bisect_right(range(stop), wanted.until, key=lambda index: _time(view, index))
    narrowed = [ENTRIES.c.index >= start, ENTRIES.c.index < stop]
    if wanted.signer is not None:
        narrowed.append(ENTRIES.c.signer == wanted.signer)
    # One query for each way into an index: with OR, or without the index's first columns, none would be used.
    ways: list[list[Any]] = [[]]
    if wanted.dataset is not None:
        kinds = KINDS.values() if wanted.kind is None else (wanted.kind,)
        ways = [[ENTRIES.c.dataset == wanted.dataset, ENTRIES.c.kind == kind] for kind in kinds]
    elif wanted.kind is not None:
        narrowed.append(ENTRIES.c.kind == wanted.kind)
    if wanted.subject is not None:
        digests = (ENTRIES.c.root, ENTRIES.c.table_digest)
        ways = [[column == wanted.subject, *way] for way in ways for column in digests]
    found = {index for way in ways for index in _newest(view, [*way, *narrowed], limit)}
    return sorted(found, reverse=True)[:limit]


def _newest(view: View, conditions: list[Any], limit: int) -> Iterator[int]:
    query = select(ENTRIES.c.index).where(*conditions).order_by(ENTRIES.c.index.desc()).limit(limit)
    yield from view._connection.execute(query).scalars()


def _time(view: View, index: int) -> str:
    row = view.entry(index)
    return row.logged_at if row else ""
