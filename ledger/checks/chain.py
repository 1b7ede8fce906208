"""The entries as they are stored: none missing, each with the leaf hash that the tree holds, linked to those before it.

A header is what the log would have written, to the byte: everything in it but the time follows from the entries before
and from the name that the entry is listed under. So most entries are held against a header made for them, which costs
a fifth of parsing theirs; a segment in which one differs is read entry by entry, to say what does not hold.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from dataseal.ledger import entry as entries
from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError
from dataseal.ledger.statement import check_subject
from dataseal.ledger.store import segments
from dataseal.ledger.store.store import TILE_WIDTH, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import blob
from dataseal.ledger.store.view import Segment
from dataseal.ledger.tlog import merkle

Report = Callable[[str, str], None]
"""Takes where and what does not hold."""

_NONE: Final = b"null"
_PREV: Final = b'","prev":'
_END: Final = b',"v":1}\n'
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_TIME_BYTES: Final = 20
_KINDS: Final = frozenset(entries.ENTRY_KINDS)
_FRAMES: Final = 65_536
"""Names whose part of a header is kept: some 20 MB."""


class Item(NamedTuple):
    """An entry whose header could be read.

    ``unread`` is how many entries may have been the same dataset's between it and the one before it, and can't be read
    or are not what they were; ``changed`` says that it will be one of those to the next one.
    """

    at: int
    body: bytes
    name: int
    dataset: str
    kind: str
    unread: int = 0
    changed: bool = False


class Read(NamedTuple):
    """Neighbouring entries: the leaf hash that the tree should hold for each; those that are asked for and readable."""

    first: int
    leaves: list[bytes]
    items: list[Item]
    names: Sequence[int]


class Chain:
    """Walks over all entries, from the first to the last.

    Args:
        kinds: the kinds of entry that `Read.items` shall hold.
    """

    def __init__(self, view: View, report: Report, kinds: Collection[str]) -> None:
        self._view, self._report, self._kinds = view, report, frozenset(kinds)
        self._tile = _Leaves(view)
        self._frames: dict[int, tuple[str, str, bytes, bytes] | None] = {}
        self._links: dict[str, bytes] = {}
        self._before: frozenset[bytes | None] = frozenset({None})
        self._unread: dict[int, frozenset[bytes]] = {}
        self._unread_at: list[int] = []
        self._time = b""

    def walk(self) -> Iterator[Read]:
        """All entries, a segment at a time."""
        due = 0
        for segment in self._view.segments(-(2**62)):
            first, count = segment.first, segment.entries
            end = first + count
            if first < due or count <= 0:
                self._report(f"entry {first}", f"stands in a segment of {count} where entry {due} is due")
                continue
            if first > due:
                gone = f"entry {due} is" if first == due + 1 else f"entries {due} to {first - 1} are"
                self._report(f"entry {first}", f"{gone} missing before it")
                for start in range(due, first, TILE_WIDTH):
                    yield self._lost(start, min(first, start + TILE_WIDTH), ())
            due = end
            if count > TILE_WIDTH:
                self._report(f"entries {first} to {end - 1}", f"stand in a segment of {count}; {TILE_WIDTH} fit one")
                for start in range(first, end, TILE_WIDTH):
                    yield self._lost(start, min(end, start + TILE_WIDTH), ())
                continue
            yield self._segment(segment)

    def _segment(self, segment: Segment) -> Read:
        first, count, data = segment.first, segment.entries, blob(segment.data)
        names = segments.decode_names(blob(segment.names), count)
        if usual := self._usual(first, names, data):
            return usual
        try:
            bodies = segments.decode(first, count, data)
        except IntegrityError as error:
            self._report(f"entry {first}" if count == 1 else f"entries {first} to {first + count - 1}", error.what)
            return self._lost(first, first + count, names)
        leaves, items = [], []
        for index, (body, name) in enumerate(zip(bodies, names, strict=True), first):
            leaf, item = self._entry(StoredEntry(index, body, signer=""), name)
            leaves.append(leaf)
            if item and item.kind in self._kinds:
                items.append(item)
        return Read(first, leaves, items, names)

    # Segments in which all is as it should be.

    def _usual(self, first: int, names: Sequence[int], data: bytes) -> Read | None:
        if len(self._before) != 1:
            return None
        (before,) = self._before
        prev = b'"%b"' % before.hex().encode() if before else _NONE
        links: dict[str, bytes] = {}
        time, frames = self._time, self._frames
        leaves: list[bytes] = []
        items: list[Item] = []
        at, size = 0, len(data)
        for index, name in enumerate(names, first):
            if name not in frames:
                self._frame(name)
            if (frame := frames[name]) is None or at + 2 > size:
                return None
            dataset, kind, opening, middle = frame
            link = links.get(dataset) or self._links.get(dataset, _NONE)
            start, at = at + 2, at + 2 + (data[at] << 8 | data[at + 1])
            if not data.startswith(b"".join((opening, link, middle, time, _PREV, prev, _END)), start, at):
                stamp = start + len(opening) + len(link) + len(middle)
                later = data[stamp : stamp + _TIME_BYTES]
                if later < time or not _TIME.fullmatch(later):
                    return None
                if not data.startswith(b"".join((opening, link, middle, later, _PREV, prev, _END)), start, at):
                    return None
                time = later
            leaf = sha256(b"\x00" + data[start:at]).digest()  # RFC 6962 section 2.1
            leaves.append(leaf)
            text = leaf.hex().encode()
            prev = b'"%b"' % text
            links[dataset] = b'{"index":%d,"leaf":"%b"}' % (index, text)
            if kind in self._kinds:
                items.append(Item(index, data[start:at], name, dataset, kind))
        if at != size or b"".join(leaves) != self._tile.leaves(first, len(leaves)):
            return None
        self._links.update(links)
        self._before, self._time = frozenset({leaves[-1]}), time
        return Read(first, leaves, items, names)

    def _frame(self, number: int) -> None:
        """What every header of a name begins with, and what stands between its links and its time; None: no name."""
        dataset, kind = map(str, self._view.name(number)[:2])  # SQLite's columns take any type
        frame = None
        if kind in _KINDS:
            try:
                check_subject(kind, dataset)
            except FormatError:
                pass
            else:
                text = entries.Header(kind, dataset, "", None, None).encode()
                opening, link, rest = text.partition(b'"dataset_prev":null')
                middle, quotes, _ = rest.partition(b'"","prev":null')
                if link and quotes:
                    frame = dataset, kind, opening + link.removesuffix(_NONE), middle + b'"'
        if len(self._frames) >= _FRAMES:
            self._frames.clear()
        self._frames[number] = frame

    # Entries one by one.

    def _lost(self, first: int, end: int, names: Sequence[int]) -> Read:
        """Entries that can't be read at all: the tree's leaf hashes are believed, so that one problem is named once."""
        leaves = []
        for index in range(first, end):
            found = self._tile.leaf(index)
            leaves.append(found or bytes(SIZE))
            self._lose(index, {found} if found else set())
            self._before = frozenset({leaves[-1]})
        return Read(first, leaves, [], names)

    def _lose(self, index: int, leaves: set[bytes]) -> None:
        self._unread[index] = frozenset(leaves)
        self._unread_at.append(index)

    def _entry(self, row: StoredEntry, name: int) -> tuple[bytes, Item | None]:
        """Checks an entry; returns the leaf hash that the tree should hold for it."""
        where, stored, chosen = f"entry {row.index}", self._tile.leaf(row.index), row.leaf
        changed = bool(stored) and stored != row.leaf and not self._changed_tile(row)
        if changed:
            chosen = stored
            told = f"leaf hash {row.leaf.hex()}, the tree holds {chosen.hex()}"
            self._report(where, f"its bytes were changed: {told}")
        item = None
        try:
            header = row.header
        except DatasealError as error:
            self._report(where, error.what)
            changed = True
        else:
            item = self._header(row, header, name)._replace(changed=changed)
            if not changed:
                self._time = max(self._time, header.logged_at.encode())
        if changed:  # the dataset that it names may not be its own
            self._lose(row.index, {row.leaf, chosen})
        else:
            self._links[row.header.dataset] = _link(entries.Link(row.index, row.leaf))
        self._before = frozenset({row.leaf, chosen})
        return chosen, item

    def _header(self, row: StoredEntry, header: entries.Header, name: int) -> Item:
        where, unread = f"entry {row.index}", 0
        if header.prev not in self._before:
            self._report(where, "the hash chain is broken: prev is not the leaf hash of the entry before it")
        known, link = self._links.get(header.dataset, _NONE), header.dataset_prev
        if _link(link) != known:
            last = -1 if known == _NONE else int(known[len(b'{"index":') : known.index(b",")])
            leaves = self._unread.get(link.index) if link and link.index > last else None
            if link and leaves is not None and (not leaves or link.leaf in leaves):
                unread = bisect_right(self._unread_at, link.index) - bisect_right(self._unread_at, last)
            else:
                self._report(where, f"dataset_prev does not name the entry before it of {header.dataset!r}")
        if header.logged_at.encode() < self._time:
            self._report(where, f"logged_at goes back to {header.logged_at}")
        listed = self._view.name(name)
        for column, value in (("dataset", header.dataset), ("kind", header.kind)):
            if getattr(listed, column) != value:
                self._report(where, f"its name says {column} {getattr(listed, column)!r}; the entry says {value!r}")
                break
        return Item(row.index, row.body, name, header.dataset, header.kind, unread)

    def _changed_tile(self, row: StoredEntry) -> bool:
        """Whether the tile was changed, and not the entry: the next entry's ``prev`` tells, or the newest head."""
        try:
            after = self._view.entry(row.index + 1)
            if after is not None:
                return after.header.prev == row.leaf
            head = self._view.head()
            return merkle.root_at(self._view, head.size) != head.root
        except DatasealError:
            return False


class _Leaves:
    """The leaf hashes that the tree holds; none where it holds none."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._number, self._data = -1, b""

    def leaves(self, first: int, count: int) -> bytes:
        """Those of entries in one tile, one after the other."""
        number, place = divmod(first, TILE_WIDTH)
        if number != self._number:
            self._number, self._data = number, self._view.tile(0, number)
        return self._data[place * SIZE : (place + count) * SIZE]

    def leaf(self, index: int) -> bytes:
        """That of an entry."""
        found = self.leaves(index, 1)
        return found if len(found) == SIZE else b""


def _link(link: entries.Link | None) -> bytes:
    """A link as it stands in a header."""
    return b'{"index":%d,"leaf":"%b"}' % (link.index, link.leaf.hex().encode()) if link else _NONE
