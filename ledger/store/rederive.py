"""Holds the tables that lead to entries against what the entries say, in one pass and little memory.

Two multisets of rows are equal exactly when the polynomials with those rows as roots are. Both are evaluated at one
point drawn for this check alone, modulo a prime of 127 bits: nobody can have prepared rows that differ and agree there.
Only when they do not agree is every row looked at, to name the ones that do not hold.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Table, select

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.store.models import CHAINS, LOOKUPS, NAMES
from dataseal.ledger.store.view import Reading
from dataseal.ledger.tlog.tile import WIDTH

_PRIME: Final = (1 << 127) - 1
_PAGE: Final = 4096

Row = tuple[int, int]


class Rederived:
    """The rows that the entries seen so far should have."""

    def __init__(self) -> None:
        self._point = secrets.randbelow(_PRIME)
        self._lookups = self._chains = 1
        self._used: set[int] = set()

    def add(self, index: int, keys: Iterable[int], name: int) -> None:
        """Takes an entry whose bytes hold: what leads to it (`StoredEntry.keys`), and the number of its name."""
        self._lookups = self._times(self._lookups, ((key, index) for key in keys))
        self._chains = self._times(self._chains, ((name, index),))

    def use(self, name: int) -> None:
        """Takes a name that a segment uses, whether or not its entry can be read."""
        self._used.add(name)

    def _times(self, value: int, rows: Iterable[Row]) -> int:
        for key, index in rows:
            value = value * (self._point - (key << 64) - index) % _PRIME
        return value

    def problems(self, view: Reading) -> Iterator[tuple[str, str]]:
        """Where and what does not hold of the tables that lead to entries."""
        whole = True
        for table, expected in ((CHAINS, self._chains), (LOOKUPS, self._lookups)):
            whole &= self._times(1, _rows(view, table)) == expected
        if not whole:
            yield from _missing(view)
            yield from _stray(view)
        stored = set(view._connection.execute(select(NAMES.c.id)).scalars())
        for number in sorted(stored - self._used):
            yield f"name {number}", "is no entry's"


def _rows(view: Reading, table: Table) -> Iterator[Row]:
    """Every row of a table of two numbers, page by page."""
    first, second = table.c
    last: Any = None
    while True:
        query = select(first, second).order_by(first, second).limit(_PAGE)
        if last is not None:
            query = query.where((first > last[0]) | ((first == last[0]) & (second > last[1])))
        rows = view._connection.execute(query).all()
        yield from ((int(row[0]), int(row[1])) for row in rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1]


def _missing(view: Reading) -> Iterator[tuple[str, str]]:
    for index, keys, name in _entries(view):
        present = select(LOOKUPS.c.key).where(LOOKUPS.c.key.in_(keys), LOOKUPS.c.index == index)
        if set(view._connection.execute(present).scalars()) != keys:
            yield f"entry {index}", "queries by what it is about do not find it: a row of lookups is missing"
        chain = select(CHAINS.c.index).where(CHAINS.c.name == name, CHAINS.c.index == index)
        if keys and view._connection.execute(chain).scalar_one_or_none() is None:
            yield f"entry {index}", "queries by dataset, kind and signer do not find it: its row of chains is missing"


def _stray(view: Reading) -> Iterator[tuple[str, str]]:
    for table in (LOOKUPS, CHAINS):
        for key, index in _rows(view, table):
            expected = _of(view, index)
            if expected is None or key not in (expected[0] if table is LOOKUPS else {expected[1]}):
                yield f"entry {index}", f"a row of {table.name} leads to it, which its bytes do not ask for"


def _entries(view: Reading) -> Iterator[tuple[int, set[int], int]]:
    size = view.head().size
    for start in range(0, size, WIDTH):
        for index in range(start, min(size, start + WIDTH)):
            if expected := _of(view, index):
                yield index, *expected


def _of(view: Reading, index: int) -> tuple[set[int], int] | None:
    try:
        row, number = view.entry(index), view.name_of(index)
        return (set(row.keys), number) if row else None
    except DatasealError:
        return set(), 0  # its bytes are a problem of their own
