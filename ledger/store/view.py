"""One consistent view of a store: entries, tiles, heads, and queries over them.

A `Reading` sees the store as it was when its transaction began. Its queries walk the tables that lead to entries
(`dataseal.ledger.store.lookups`), and take an entry only when its own bytes say that it is meant.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, func, select

from dataseal.ledger.store import lookups, segments
from dataseal.ledger.store.driver import Driver
from dataseal.ledger.store.models import CHAINS, HEADS, LOOKUPS, META, NAMES, SEGMENTS
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import Hashed, Tiles, blob
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.tile import WIDTH

STATES: Final = ("release", "modification")
CACHED_SEGMENTS: Final = 4
"""Segments that a view keeps: each up to 16 MiB, mostly half of one; neighbours are asked for together."""
FEW: Final = 8
"""Values up to which a statement a value is cheaper than one for all."""
PAGE: Final = 16
"""Segments that are read at once when many are."""


def one_or_many(query: Select[Any], column: Any) -> tuple[Select[Any], Select[Any]]:
    """The query for one value of a column, and for a list of them."""
    return query.where(column == bindparam("value")), query.where(column.in_(bindparam("values", expanding=True)))


# Statements are built once: building one costs more than running it.
_HEAD: Final = select(HEADS).order_by(HEADS.c.size.desc()).limit(1)
_SIGNED: Final = _HEAD.where(HEADS.c.note.is_not(None))
_COSIGNED: Final = _HEAD.where(HEADS.c.cosigned.is_not(None))
_HEADS: Final = select(HEADS).where(HEADS.c.size > bindparam("size")).order_by(HEADS.c.size).limit(PAGE * WIDTH)
_COSIGNED_BELOW: Final = (
    select(HEADS)
    .where(HEADS.c.cosigned.is_not(None), HEADS.c.size < bindparam("size"), HEADS.c.size >= bindparam("least"))
    .order_by(HEADS.c.size.desc())
    .limit(PAGE)
)
_HEAD_AT: Final = select(HEADS).where(HEADS.c.size == bindparam("size"))
_SEGMENT: Final = (
    select(SEGMENTS).where(SEGMENTS.c.first <= bindparam("index")).order_by(SEGMENTS.c.first.desc()).limit(1)
)
_FIRST: Final = select(func.max(SEGMENTS.c.first)).where(SEGMENTS.c.first <= bindparam("start"))
_SEGMENTS: Final = (
    select(SEGMENTS)
    .where(SEGMENTS.c.first >= bindparam("start"), SEGMENTS.c.first < bindparam("stop"))
    .order_by(SEGMENTS.c.first)
    .limit(PAGE)
)
_END: Final = 2**62
"""Beyond every index."""
_NAME: Final = select(NAMES).where(NAMES.c.id == bindparam("id"))
_LAST: Final = select(func.max(CHAINS.c.index)).where(CHAINS.c.name == NAMES.c.id).scalar_subquery()
_NEWEST: Final = one_or_many(select(NAMES.c.dataset, _LAST), NAMES.c.dataset)
_KEYS: Final = one_or_many(select(LOOKUPS.c.key), LOOKUPS.c.key)
_CANDIDATES: Final = (
    select(LOOKUPS.c.index).where(LOOKUPS.c.key.between(bindparam("first"), bindparam("last"))).distinct()
)


@dataclass(frozen=True, slots=True)
class Head:
    """A tree head: size, root, its signed checkpoint once there is one, and that with witnesses' cosignatures."""

    size: int
    root: bytes
    note: bytes | None
    cosigned: bytes | None = None


class Tally(NamedTuple):
    """Entries of one dataset and kind, and their bytes."""

    dataset: str
    kind: str
    entries: int
    bytes: int


class Segment(NamedTuple):
    """A row of segments."""

    first: int
    entries: int
    names: object
    data: object


class Name(NamedTuple):
    """What an entry's number in its segment stands for."""

    dataset: str
    kind: str
    signer: str


EMPTY: Final = Head(0, merkle.EMPTY_ROOT, None)
NOBODY: Final = Name("", "", "")


class Reading(Tiles):
    """One consistent view of the store.

    Args:
        known: tiles that were hashed before, shared with other views; of those is used whose bytes are still the same.
    """

    def __init__(self, driver: Driver, known: Hashed | None = None) -> None:
        super().__init__(driver, known)
        self._segments: OrderedDict[int, tuple[list[bytes], tuple[int, ...]]] = OrderedDict()
        self._names: dict[int, Name] = {}

    # Heads.

    def head(self) -> Head:
        """The newest head; `EMPTY` for an empty log."""
        return self._head(_HEAD) or EMPTY

    def signed_head(self) -> Head:
        """The newest head that has a checkpoint; `EMPTY` when there is none."""
        return self._head(_SIGNED) or EMPTY

    def cosigned_head(self) -> Head:
        """The newest head whose checkpoint carries cosignatures; `EMPTY` when there is none."""
        return self._head(_COSIGNED) or EMPTY

    def cosigned_heads(self, least: int = 0) -> Iterator[Head]:
        """The heads of a size of ``least`` or more whose checkpoint carries cosignatures, newest first."""
        at = _END
        while rows := self._driver.all(_COSIGNED_BELOW, size=at, least=least):
            yield from map(head_of, rows)
            at = rows[-1][0]

    def head_at(self, size: int) -> Head | None:
        """The head of a size."""
        return self._head(_HEAD_AT, size=size)

    def heads(self) -> Iterator[Head]:
        """Every head, by size."""
        at = -_END
        while rows := self._driver.all(_HEADS, size=at):
            yield from map(head_of, rows)
            at = rows[-1][0]

    def _head(self, query: Select[Any], **values: int) -> Head | None:
        row = self._driver.one(query, **values)
        return head_of(row) if row else None

    def meta(self) -> dict[str, str]:
        """What the ledger is."""
        return {row.key: row.value for row in self._connection.execute(select(META))}

    # Entries.

    def count(self) -> int:
        """How many entries there are."""
        return int(self._connection.execute(select(func.coalesce(func.sum(SEGMENTS.c.entries), 0))).scalar_one())

    def entry(self, index: int) -> StoredEntry | None:
        """The entry at ``index``.

        Raises:
            IntegrityError: its segment is damaged.
        """
        for first, (bodies, _) in self._segments.items():
            if 0 <= index - first < len(bodies):
                break
        else:
            row = self._driver.one(_SEGMENT, index=index)
            segment = Segment(*row) if row else None
            if segment is None or index >= segment.first + segment.entries:
                return None
            first = segment.first
            self._segments[first] = self._decode(segment)
            if len(self._segments) > CACHED_SEGMENTS:
                self._segments.popitem(last=False)
        bodies, ids = self._segments[first]
        return StoredEntry(index, bodies[index - first], signer=self.name(ids[index - first]).signer)

    def name_of(self, index: int) -> int:
        """The number in its segment that stands for an entry's dataset, kind and signer; 0 for none."""
        if self.entry(index) is None:
            return 0
        return next((ids[index - at] for at, (_, ids) in self._segments.items() if 0 <= index - at < len(ids)), 0)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[StoredEntry]:
        """Entries in order of their indexes, from ``start`` up to ``stop`` (not included).

        Raises:
            IntegrityError: a segment is damaged.
        """
        for first, bodies, ids in self._pages(start, stop):
            for index, (body, number) in enumerate(zip(bodies, ids, strict=True), first):
                if index >= start and (stop is None or index < stop):
                    yield StoredEntry(index, body, signer=self.name(number).signer)

    def bodies(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        """The bytes of entries, from ``start`` up to ``stop`` (not included)."""
        return [row.body for row in self.entries(start, stop)]

    def _pages(self, start: int, stop: int | None) -> Iterator[tuple[int, list[bytes], tuple[int, ...]]]:
        for row in self.segments(start, stop):
            yield row.first, *self._decode(row)

    def segments(self, start: int = 0, stop: int | None = None) -> Iterator[Segment]:
        """The segments that hold the entries from ``start`` to ``stop``."""
        found = self._driver.one(_FIRST, start=start)
        at = start if found is None or found[0] is None else int(found[0])
        # Page by page: a cursor over all would hold all of it.
        while rows := self._driver.all(_SEGMENTS, start=at, stop=_END if stop is None else stop):
            yield from (Segment(*row) for row in rows)
            at = rows[-1][0] + 1

    def _decode(self, row: Segment) -> tuple[list[bytes], tuple[int, ...]]:
        bodies = segments.decode(row.first, row.entries, blob(row.data))
        return bodies, segments.decode_names(blob(row.names), row.entries)

    def name(self, number: int) -> Name:
        """What a number stands for; `NOBODY` when it stands for nothing."""
        if number not in self._names:
            found = self._driver.one(_NAME, id=number)
            self._names[number] = Name(*found[1:]) if found else NOBODY
        return self._names[number]

    # Queries.

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
            rows = self._of_names(self._numbers(dataset, (kind,) if kind else (), signer), start, stop)
        for row in rows:
            matches = dataset in (None, row.dataset) and kind in (None, row.kind) and signer in (None, row.signer)
            if matches and start <= row.index < stop:
                yield row

    def _time(self, index: int) -> str:
        row = self.entry(index)
        return row.logged_at if row else ""

    def _backwards(self, start: int, stop: int) -> Iterator[StoredEntry]:
        return (row for index in range(stop - 1, start - 1, -1) if (row := self.entry(index)))

    def _chain(self, dataset: str, kinds: Sequence[str], page: int = 256) -> Iterator[StoredEntry]:
        rows = self._of_names(self._numbers(dataset, kinds), page=page)
        return (row for row in rows if row.dataset == dataset and (not kinds or row.kind in kinds))

    def _numbers(self, dataset: str | None, kinds: Sequence[str], signer: str | None = None) -> list[int]:
        query = select(NAMES.c.id)
        if dataset is not None:
            query = query.where(NAMES.c.dataset == dataset)
        if kinds:
            query = query.where(NAMES.c.kind.in_(kinds))
        if signer is not None:
            query = query.where(NAMES.c.signer == signer)
        return list(self._connection.execute(query).scalars())

    def _of_names(
        self, numbers: Sequence[int], start: int = 0, stop: int | None = None, page: int = 256
    ) -> Iterator[StoredEntry]:
        """The entries of triples, newest first."""
        chosen = CHAINS.c.name == numbers[0] if len(numbers) == 1 else CHAINS.c.name.in_(numbers)
        query = select(CHAINS.c.index).where(chosen, CHAINS.c.index >= start).order_by(CHAINS.c.index.desc())
        while numbers:
            bound = query if stop is None else query.where(CHAINS.c.index < stop)
            indexes = self._connection.execute(bound.limit(page)).scalars().all()
            yield from (row for index in indexes if (row := self.entry(index)))
            if len(indexes) < page:
                return
            stop, page = indexes[-1], 256

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

    def tally(self) -> list[Tally]:
        """How many entries there are, and their bytes, by dataset and kind; reads all of them."""
        found: dict[tuple[str, str], list[int]] = {}
        for _, bodies, ids in self._pages(0, None):
            for body, number in zip(bodies, ids, strict=True):
                counts = found.setdefault(self.name(number)[:2], [0, 0])
                counts[0] += 1
                counts[1] += len(body)
        return [Tally(*name, *counts) for name, counts in sorted(found.items())]


def head_of(row: tuple[Any, ...]) -> Head:
    """A row of heads."""
    size, root, note, cosigned = row
    return Head(size, blob(root), *(None if value is None else blob(value) for value in (note, cosigned)))
