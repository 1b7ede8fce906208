"""One consistent view of a store: entries, tiles, heads, and queries over them.

A `Reading` sees the store as it was when its transaction began. Its queries walk the tables that lead to entries
(`dataseal.ledger.store.lookups`), and take an entry only when its own bytes say that it is meant.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, select

from dataseal.ledger.store import lookups
from dataseal.ledger.store.bodies import Bodies, Name, Segment, Tally
from dataseal.ledger.store.heads import EMPTY, Head, head_of
from dataseal.ledger.store.models import CHAINS, LOOKUPS, NAMES
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.tlog.tile import WIDTH

__all__ = ["EMPTY", "STATES", "Head", "Name", "Reading", "Segment", "Tally", "head_of", "one_or_many"]

STATES: Final = ("release", "modification")
FEW: Final = 8
"""Values up to which a statement a value is cheaper than one for all."""

MERGED: Final = 64
"""Triples whose chains are merged one by one; of more, the database sorts the indexes."""
MOST: Final = 65_536
"""Indexes of one page, when the database sorts them."""
_END: Final = 2**62
"""Beyond every index."""


def one_or_many(query: Select[Any], column: Any) -> tuple[Select[Any], Select[Any]]:
    """The query for one value of a column, and for a list of them."""
    return query.where(column == bindparam("value")), query.where(column.in_(bindparam("values", expanding=True)))


_LAST: Final = select(func.max(CHAINS.c.index)).where(CHAINS.c.name == NAMES.c.id).scalar_subquery()
_NEWEST: Final = one_or_many(select(NAMES.c.dataset, _LAST), NAMES.c.dataset)
_KEYS: Final = one_or_many(select(LOOKUPS.c.key), LOOKUPS.c.key)
_CANDIDATES: Final = (
    select(LOOKUPS.c.index).where(LOOKUPS.c.key.between(bindparam("first"), bindparam("last"))).distinct()
)
_CHAIN: Final = (
    select(CHAINS.c.index)
    .where(CHAINS.c.name == bindparam("name"))
    .where(CHAINS.c.index >= bindparam("start"), CHAINS.c.index < bindparam("stop"))
    .order_by(CHAINS.c.index.desc())
    .limit(bindparam("page"))
)


class Reading(Bodies):
    """One consistent view of the store, and queries over it."""

    def of_dataset(self, dataset: str, *kinds: str) -> list[StoredEntry]:
        """A dataset's entries of the given kinds, in order."""
        return list(self._chain(dataset, kinds))[::-1] if kinds else []

    def newest(self, dataset: str, *kinds: str) -> StoredEntry | None:
        """A dataset's newest entry of the given kinds, or of any kind."""
        return next(self._chain(dataset, kinds, page=1), None)

    def release(self, dataset: str, version: str) -> StoredEntry | None:
        """The release of a dataset under a version."""
        key = lookups.of_release(dataset, version)
        found = (row for row in self._candidates((key, key)) if row.kind == "release")
        return next((row for row in found if (row.dataset, row.version) == (dataset, version)), None)

    def state(self, dataset: str, root: str) -> StoredEntry | None:
        """The newest release or modification of a dataset that has or leads to ``root``."""
        found = (row for row in self._of_root(root) if row.kind in STATES)
        return next((row for row in found if (row.dataset, row.root) == (dataset, root)), None)

    def find(self, payload: str, signer: str, root: str | None = None) -> StoredEntry | None:
        """The entry of a payload (SHA-256, hexadecimal) by a signer (fingerprint).

        Args:
            root: the dataset root that the payload is about; without it, every entry is looked at.
        """
        key = lookups.of_payload(root, payload) if root else 0
        rows = self._candidates((key, key)) if root else self.entries()
        return next((row for row in rows if (row.payload, row.signer) == (payload, signer)), None)

    def stated(self, payload: str, root: str) -> StoredEntry | None:
        """The release or modification of these bytes (SHA-256, hexadecimal) about ``root``, whoever signed it."""
        key = lookups.of_payload(root, payload)
        return next(
            (row for row in self._candidates((key, key)) if row.payload == payload and row.kind in STATES), None
        )

    def newest_indexes(self, datasets: Sequence[str]) -> dict[str, int]:
        """The index of the newest entry of each dataset that has one, as the tables have it: candidates for `entry`."""
        found: dict[str, int] = {}
        for dataset, last in self._each(_NEWEST, datasets):
            if last is not None:
                found[dataset] = max(last, found.get(dataset, last))
        return found

    def may_hold(self, keys: Sequence[int]) -> set[int]:
        """Those of the keys (`lookups.of_payload`) of which `find` may know an entry."""
        return {key for (key,) in self._each(_KEYS, keys)}

    def _each(self, statements: tuple[Select[Any], Select[Any]], values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        """What a statement gives for each of some values: one by one for few, together for many."""
        single, many = statements
        if len(values) <= FEW:
            for value in values:
                yield from self._driver.all(single, value=value)
            return
        for at in range(0, len(values), WIDTH):
            yield from map(tuple, self._connection.execute(many, {"values": values[at : at + WIDTH]}))

    def about(self, digest: str) -> Iterator[StoredEntry]:
        """The entries about a dataset root or a shard table (hexadecimal), newest first."""
        key = lookups.of_table(digest)
        found = self._candidates(lookups.of_root(digest), (key, key))
        return (row for row in found if digest in (row.root, row.table_digest))

    def search(
        self,
        *,
        dataset: str | None = None,
        kind: str | None = None,
        signer: str | None = None,
        subject: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
    ) -> Iterator[StoredEntry]:
        """The entries that match all that is asked for, newest first.

        Args:
            dataset, kind, signer: as the entry's. subject: a dataset root, or the SHA-256 of a shard table.
            since, until: bounds of ``logged_at``, both included. before: only indexes below.
        """
        start, stop = 0, self.head().size if before is None else before
        # `logged_at` never decreases: a range of times is a range of indexes, found by halving.
        if since is not None:
            start = bisect_left(range(stop), since, key=self._time)
        if until is not None:
            stop = bisect_right(range(stop), until, key=self._time)
        if subject is not None:
            rows = self.about(subject)
        elif dataset is None and kind is None and signer is None:
            rows = self._backwards(start, stop)
        else:
            rows = self._of_names(_triples(dataset, (kind,) if kind else (), signer), start, stop)
        for row in rows:
            matches = dataset in (None, row.dataset) and kind in (None, row.kind) and signer in (None, row.signer)
            if matches and start <= row.index < stop:
                yield row

    def _time(self, index: int) -> str:
        row = self.entry(index)
        return row.logged_at if row else ""

    def _backwards(self, start: int, stop: int) -> Iterator[StoredEntry]:
        return (row for index in range(stop - 1, start - 1, -1) if (row := self.entry(index)))

    def _chain(self, dataset: str, kinds: Sequence[str], page: int = WIDTH) -> Iterator[StoredEntry]:
        rows = self._of_names(_triples(dataset, kinds), page=page)
        return (row for row in rows if row.dataset == dataset and (not kinds or row.kind in kinds))

    def _of_names(
        self, triples: Select[Any], start: int = 0, stop: int = _END, page: int = WIDTH
    ) -> Iterator[StoredEntry]:
        """The entries of triples, newest first."""
        numbers = self._connection.execute(triples.limit(MERGED + 1)).scalars().all()
        if len(numbers) <= MERGED:
            chains = [self._of_name(number, start, stop, page) for number in numbers]
            indexes = chains[0] if len(chains) == 1 else merge(*chains, reverse=True)
        else:
            indexes = self._of_many(triples, start, stop)
        return (row for index in indexes if (row := self.entry(index)))

    def _of_name(self, number: int, start: int, stop: int, page: int) -> Iterator[int]:
        """The indexes of one triple's entries, newest first."""
        while rows := self._driver.all(_CHAIN, name=number, start=start, stop=stop, page=page):
            yield from (index for (index,) in rows)
            if len(rows) < page:
                return
            stop, page = rows[-1][0], WIDTH

    def _of_many(self, triples: Select[Any], start: int, stop: int) -> Iterator[int]:
        """The same of many triples: the database sorts what is left for each page, so that pages grow."""
        page = WIDTH
        chosen = select(CHAINS.c.index).where(CHAINS.c.name.in_(triples), CHAINS.c.index >= start)
        while True:
            query = chosen.where(CHAINS.c.index < stop).order_by(CHAINS.c.index.desc()).limit(page)
            indexes = self._connection.execute(query).scalars().all()
            yield from indexes
            if len(indexes) < page:
                return
            stop, page = indexes[-1], min(4 * page, MOST)

    def _of_root(self, root: str) -> Iterator[StoredEntry]:
        return self._candidates(lookups.of_root(root))

    def _candidates(self, *keys: tuple[int, int]) -> Iterator[StoredEntry]:
        """The entries that ranges of lookups lead to, newest first, each once."""
        found: set[int] = set()
        for first, last in keys:
            found.update(index for (index,) in self._driver.all(_CANDIDATES, first=first, last=last))
        return (row for index in sorted(found, reverse=True) if (row := self.entry(index)))

    def datasets(self) -> list[str]:
        """The names of all datasets with entries."""
        query = select(NAMES.c.dataset).distinct()
        return sorted(self._connection.execute(query).scalars())


def _triples(dataset: str | None, kinds: Sequence[str], signer: str | None = None) -> Select[Any]:
    """The numbers of the triples that match, through an index of each of the three."""
    query = select(NAMES.c.id)
    if dataset is not None:
        query = query.where(NAMES.c.dataset == dataset)
    if kinds:
        query = query.where(NAMES.c.kind.in_(kinds))
    if signer is not None:
        query = query.where(NAMES.c.signer == signer)
    return query
