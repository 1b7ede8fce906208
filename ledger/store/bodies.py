"""The entries that a store holds, by their indexes: their bytes, and the names that they are listed under."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from dataseal.ledger.store import segments
from dataseal.ledger.store.driver import Driver
from dataseal.ledger.store.heads import Heads
from dataseal.ledger.store.models import NAMES, SEGMENTS
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import Hashed, blob

CACHED_SEGMENTS: Final = 4
"""Segments that a view keeps: each up to 16 MiB, mostly half of one; neighbours are asked for together."""
PAGE: Final = 16
"""Segments that are read at once when many are."""

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


NOBODY: Final = Name("", "", "")


class Bodies(Heads):
    """The entries as one transaction sees them.

    Args:
        known: tiles that were hashed before, shared with other views; of those is used whose bytes are still the same.
    """

    def __init__(self, driver: Driver, known: Hashed | None = None) -> None:
        super().__init__(driver, known)
        self._segments: OrderedDict[int, tuple[list[bytes], tuple[int, ...]]] = OrderedDict()
        self._names: dict[int, Name] = {}

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

    def tally(self) -> list[Tally]:
        """How many entries there are, and their bytes, by dataset and kind; reads all of them."""
        found: dict[tuple[str, str], list[int]] = {}
        for _, bodies, ids in self._pages(0, None):
            for body, number in zip(bodies, ids, strict=True):
                counts = found.setdefault(self.name(number)[:2], [0, 0])
                counts[0] += 1
                counts[1] += len(body)
        return [Tally(*name, *counts) for name, counts in sorted(found.items())]
