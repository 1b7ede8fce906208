"""``ledger check``: every hash, link, proof and signature, re-derived from the stored entries alone.

For each entry, in order:
 1. its segment follows and holds as many entries as it says; its bytes have the leaf hash that the tree holds;
 2. ``prev`` is the entry's before it, ``dataset_prev`` the dataset's, and ``logged_at`` does not decrease;
 3. its bundle verifies with a key that the log lists, header and statement agree, the admission rules admit it again;
 4. the name that it is listed under says what the bytes say; nothing stands behind an entry that closed the log.
Then:
 5. the tiles are those of the leaves;
 6. every head's root is the root of that many leaves, and its checkpoint is signed by the log's key over it;
 7. the tables that lead to entries are those of the entries, no row more or less;
 8. inclusion proofs, made from the stored tiles, lead to the newest head: of every entry of a small ledger, of
    `PROOFS` entries spread over a large one, whose tiles are known to be right by then.

Problems are collected, not raised: a damaged ledger is described whole, up to `MAX_PROBLEMS`. Each entry is judged by
itself: one that was changed does not put the blame on those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Newest, check_order
from dataseal.ledger.closing import KIND, Succession
from dataseal.ledger.digest import SIZE, sha256
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, Refused
from dataseal.ledger.log import Log
from dataseal.ledger.statement import Statement
from dataseal.ledger.states import statement_of
from dataseal.ledger.store import segments
from dataseal.ledger.store.rederive import Rederived
from dataseal.ledger.store.store import TILE_WIDTH, View
from dataseal.ledger.store.stored import StoredEntry
from dataseal.ledger.store.tiles import blob
from dataseal.ledger.store.view import STATES, Head
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.policy import policy_for_log

MAX_PROBLEMS: Final = 100
"""A ledger that is wrong in more places is described well enough."""

PROOFS: Final = 1000
"""Inclusion proofs that are made and verified; each costs as much as checking thirty entries."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold: where in the ledger, and what."""

    where: str
    what: str


@dataclass(slots=True)
class Audit:
    """The result: what was checked, and what does not hold."""

    entries: int = 0
    heads: int = 0
    tiles: int = 0
    proofs: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def add(self, where: str, what: str) -> None:
        """Adds a problem, up to the limit."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(where, what))


class _Replay:
    """`admission.History` over the entries seen so far."""

    def __init__(self) -> None:
        self.newest: dict[str, Newest] = {}
        self.versions: set[tuple[str, str]] = set()
        self.roots: dict[str, set[str]] = {}
        self.payloads: set[bytes] = set()

    def newest_release(self, dataset: str) -> Newest | None:
        return self.newest.get(dataset)

    def has_version(self, dataset: str, version: str) -> bool:
        return (dataset, version) in self.versions

    def has_root(self, dataset: str, root: str) -> bool:
        return root in self.roots.get(dataset, ())

    def has_state(self, dataset: str) -> bool:
        return bool(self.roots.get(dataset))

    def has_statement(self, statement: Statement) -> bool:
        return sha256(statement.payload) in self.payloads

    def add(self, statement: Statement) -> None:
        if statement.kind == "release":
            release = statement.release()
            self.newest[statement.dataset] = Newest(release.sequence, statement.version, statement.root)
            self.versions.add((statement.dataset, statement.version))
        if statement.kind in ("release", "modification"):
            self.roots.setdefault(statement.dataset, set()).add(statement.root)
            self.payloads.add(sha256(statement.payload))


class _Tree:
    """The tree of the leaves as they come: its tiles against the stored ones, its roots against the heads'."""

    def __init__(self, view: View, log: Log, audit: Audit) -> None:
        self._view, self._log, self._audit = view, log, audit
        self._policy = policy_for_log(log.vkey)
        self._range = merkle.CompactRange()
        self._heads = view.heads()
        self._head = next(self._heads, None)
        self._newest = 0
        self._tiles = 0
        self._above: list[list[bytes]] = []

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Takes the leaves of one tile."""
        at = 0
        while self._head and self._head.size <= self._range.size + len(leaves) - at:
            stop = at + self._head.size - self._range.size
            if stop >= at:
                self._range.extend(leaves[at:stop])
                at = stop
            self._judge(self._head, self._range.root() if self._head.size == self._range.size else b"")
        self._range.extend(leaves[at:])
        self._tile(0, (self._range.size - 1) // TILE_WIDTH, leaves)

    def _judge(self, head: Head, root: bytes) -> None:
        where = f"head of size {head.size}"
        self._audit.heads += 1
        self._newest = head.size
        if root != head.root:
            self._audit.add(where, "its root is not the root of the entries")
        if head.cosigned is not None and not head.cosigned.startswith(head.note or b"\0"):
            self._audit.add(where, "its cosigned checkpoint is not the signed one with lines behind it")
        for note in {note for note in (head.note, head.cosigned) if note is not None}:
            try:
                checked = self._policy.check(note).checkpoint
                if (checked.origin, checked.size, checked.root) != (self._log.origin, head.size, head.root):
                    raise FormatError("its checkpoint speaks of another origin, size or root")
            except DatasealError as error:
                self._audit.add(where, error.what)
        self._head = next(self._heads, None)

    def _tile(self, level: int, number: int, hashes: Sequence[bytes]) -> None:
        self._tiles += 1
        data, found = b"".join(hashes), self._view.tile(level, number)
        where = f"tile {number} of level {level}"
        if not found:
            self._audit.add(where, "is missing")
        elif found != data:
            at = next((i for i in range(0, len(data), SIZE) if found[i : i + SIZE] != data[i : i + SIZE]), len(data))
            leaf = f", the leaf of entry {number * TILE_WIDTH + at // SIZE}" if level == 0 else ""
            self._audit.add(where, f"differs from the entries at hash {at // SIZE}{leaf}")
        if len(hashes) == TILE_WIDTH:
            while len(self._above) <= level:
                self._above.append([])
            above = self._above[level]
            above.append(merkle.root_from_leaves(hashes))
            if len(above) % TILE_WIDTH == 0:
                self._tile(level + 1, len(above) // TILE_WIDTH - 1, above[-TILE_WIDTH:])

    def finish(self) -> None:
        """What is left: partial tiles, and heads and tiles beyond the entries."""
        for level, above in enumerate(list(self._above), 1):
            if rest := len(above) % TILE_WIDTH:
                self._tile(level, len(above) // TILE_WIDTH, above[-rest:])
        while self._head:
            self._audit.heads += 1
            self._newest = self._head.size
            self._audit.add(f"head of size {self._head.size}", f"the ledger holds only {self._range.size} entries")
            self._head = next(self._heads, None)
        if self._newest != self._range.size:
            self._audit.add("newest head", f"covers {self._newest} entries of {self._range.size}")
        self._stray()

    def _stray(self) -> None:
        for level, number, _ in self._view.tiles():
            self._audit.tiles += 1
            width = self._range.size >> (8 * level) if 0 <= level < 8 else 0
            if not 0 <= number * TILE_WIDTH < width:
                self._audit.add(f"tile {number} of level {level}", "belongs to no entries")


class _Entries:
    """The entries, one after the other."""

    def __init__(self, view: View, log: Log, audit: Audit, *, signatures: bool) -> None:
        self._view, self._log, self._audit, self._signatures = view, log, audit, signatures
        self._replay = _Replay()
        self._succession = Succession([log.vkey])
        self._last: dict[str, tuple[int, frozenset[bytes | None]]] = {}
        self._before: frozenset[bytes | None] = frozenset({None})
        self._missing: set[int] = set()
        self._unsure = False
        self._time = ""
        self.rederived = Rederived()

    def leaf(self, stored: _Stored) -> bytes:
        """Checks an entry; returns the leaf hash that the tree should hold for it."""
        row = stored.row
        if row is None:
            self._missing.add(stored.index)
            self._unsure = True
            chosen = stored.leaf or bytes(SIZE)
            self._before = frozenset({chosen})
            return chosen
        where = f"entry {row.index}"
        self.rederived.use(stored.name)
        chosen = row.leaf
        if stored.leaf and stored.leaf != row.leaf and not self._changed_tile(row):
            chosen = stored.leaf
            told = f"leaf hash {row.leaf.hex()}, the tree holds {chosen.hex()}"
            self._audit.add(where, f"its bytes were changed: {told}")
        try:
            header = row.header
            self._links(header)
            self._time = header.logged_at
            self._statement(row, header, stored.name)
        except DatasealError as error:
            self._audit.add(where, error.what)
            self._unsure = True  # it may have been a state: what follows it is judged by itself
        with suppress(DatasealError):
            self.rederived.add(row, stored.name)
        self._before = frozenset({row.leaf, chosen})
        self._last[self._view.name(stored.name).dataset] = row.index, self._before
        return chosen

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

    def _links(self, header: entries.Header) -> None:
        if header.prev not in self._before:
            raise IntegrityError("the hash chain is broken: prev is not the leaf hash of the entry before it")
        link = header.dataset_prev
        known = self._last.get(header.dataset)
        follows = (
            known is None if link is None else known is not None and link.index == known[0] and link.leaf in known[1]
        )
        if not follows and not (link and link.index in self._missing):
            raise IntegrityError(f"dataset_prev does not name the entry before it of {header.dataset!r}")
        if header.logged_at < self._time:
            raise IntegrityError(f"logged_at goes back to {header.logged_at}")

    def _statement(self, row: StoredEntry, header: entries.Header, number: int) -> None:
        if self._signatures:
            verified = self._log.admission.verify(entries.parse(row.body).bundle, now=header.at)
            statement: Statement | None = verified.statement
            entries.check_header(header, verified.statement)
            self._named(header, verified.signer.fingerprint, number)
            self._log.admission.check_listed(verified, kind=header.kind, index=row.index)
        else:
            self._named(header, row.signer, number)
            statement = statement_of(row) if header.kind in (*STATES, KIND, entries.ENDORSEMENT) else None
            if statement is not None:
                entries.check_header(header, statement)
        closing = self._succession.check(row.index, statement, lambda: merkle.root_at(self._view, row.index))
        if closing is not None:
            self._succession.add(closing)
        if statement is None:
            return
        try:
            check_order(statement, self._replay, kind=header.kind)
        except Refused:
            if not self._unsure:
                raise
        if header.kind != entries.ENDORSEMENT:
            self._replay.add(statement)

    def finish(self, size: int) -> None:
        """What is known of the log's successors, when all entries were seen."""
        try:
            self._succession.check_end(size)
        except Refused as error:
            self._audit.add("the log", error.what)

    def _named(self, header: entries.Header, signer: str, number: int) -> None:
        name = self._view.name(number)
        derived = {"dataset": header.dataset, "kind": header.kind, "signer": signer}
        for column, value in derived.items():
            if getattr(name, column) != value:
                raise IntegrityError(f"its name says {column} {getattr(name, column)!r}; the entry says {value!r}")


def check(log: Log, progress: Callable[[int], None] | None = None, *, signatures: bool = True) -> Audit:
    """Checks a whole ledger.

    Args:
        progress: called with the number of entries just checked.
        signatures: verify the entries' signatures too, which costs most of the time.

    Raises:
        IntegrityError: the database can't be read at all. Unavailable: it is locked.
    """
    audit = Audit()
    with log.store.view() as view:
        tree = _Tree(view, log, audit)
        walker = _Entries(view, log, audit, signatures=signatures)
        leaves: list[bytes] = []
        for stored in _stored(view, audit):
            leaves.append(walker.leaf(stored))
            if len(leaves) == TILE_WIDTH:
                tree.extend(leaves)
                leaves = []
            audit.entries += 1
            if progress:
                progress(1)
        if leaves:
            tree.extend(leaves)
        walker.finish(audit.entries)
        tree.finish()
        for where, what in walker.rederived.problems(view):
            audit.add(where, what)
            if len(audit.problems) == MAX_PROBLEMS:
                break
        _proofs(view, audit)
    return audit


def _proofs(view: View, audit: Audit) -> None:
    if not audit.clean:
        return  # the proofs of a damaged tree would only repeat what was found
    head = view.head()
    step = max(1, head.size // PROOFS)
    for index in {*range(0, head.size, step), *range(head.size - 1, head.size)} if head.size else ():
        try:
            (leaf,) = view.read([(0, index)])  # which was held against the entry's bytes above
            proof = merkle.prove_inclusion(view, size=head.size, index=index)
            merkle.verify_inclusion(index=index, size=head.size, leaf=leaf, proof=proof, root=head.root)
            audit.proofs += 1
        except DatasealError as error:
            audit.add(f"entry {index}", error.what)


@dataclass(frozen=True, slots=True)
class _Stored:
    """An entry as it stands in the store: ``row`` is None when it is missing. ``leaf``: what the tree holds for it."""

    index: int
    row: StoredEntry | None
    name: int
    leaf: bytes


def _stored(view: View, audit: Audit) -> Iterator[_Stored]:
    """Every entry from the first to the last, with the number of its name and the leaf that the tree holds for it."""
    due = 0
    tile = _Leaves(view)
    for segment in view.segments(-(2**62)):
        first, end = segment.first, segment.first + segment.entries
        if first < due or end <= first:
            audit.add(f"entry {first}", f"stands in a segment of {segment.entries} where entry {due} is due")
            continue
        if first > due:
            gone = f"entry {due} is" if first == due + 1 else f"entries {due} to {first - 1} are"
            audit.add(f"entry {first}", f"{gone} missing before it")
        yield from (_Stored(index, None, 0, tile.leaf(index)) for index in range(due, first))
        due = end
        names = segments.decode_names(blob(segment.names), segment.entries)
        try:
            bodies = segments.decode(first, segment.entries, blob(segment.data))
        except IntegrityError as error:
            audit.add(f"entry {first}" if end == first + 1 else f"entries {first} to {end - 1}", error.what)
            yield from (_Stored(index, None, 0, tile.leaf(index)) for index in range(first, end))
            continue
        for index, (body, name) in enumerate(zip(bodies, names, strict=True), first):
            yield _Stored(index, StoredEntry(index, body, signer=view.name(name).signer), name, tile.leaf(index))


class _Leaves:
    """The leaf hashes that the tree holds, one after the other; empty where it holds none."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._number, self._data = -1, b""

    def leaf(self, index: int) -> bytes:
        number, place = divmod(index, TILE_WIDTH)
        if number != self._number:
            self._number, self._data = number, self._view.tile(0, number)
        found = self._data[place * SIZE : (place + 1) * SIZE]
        return found if len(found) == SIZE else b""
