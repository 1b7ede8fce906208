"""``ledger check``: every hash, link, proof and signature, re-derived from the stored entries alone.

For each entry, in order:
 1. its index follows; its bytes parse; its stored leaf hash is the bytes' leaf hash;
 2. ``prev`` is the entry's before it, ``dataset_prev`` the dataset's, and ``logged_at`` does not decrease;
 3. its bundle verifies with a key that the log lists, header and statement agree, the admission rules admit it again;
 4. the columns that queries use say what the bytes say.
Then:
 5. the tiles are those of the leaves;
 6. every head's root is the root of that many leaves, and its checkpoint is signed by the log's key over it;
 7. every entry's inclusion proof, made from the stored tiles, leads to the newest head.

Problems are collected, not raised: a damaged ledger is described whole, up to `MAX_PROBLEMS`. Each entry is judged by
itself: one that was changed does not put the blame on those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dataseal.ledger import entry as entries
from dataseal.ledger.admission import Newest
from dataseal.ledger.digest import SIZE, sha256
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError
from dataseal.ledger.log import Log
from dataseal.ledger.statement import Statement
from dataseal.ledger.store.models import StoredEntry
from dataseal.ledger.store.store import TILE_WIDTH, View
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.verify import verify_bundle

MAX_PROBLEMS: Final = 100
"""A ledger that is wrong in more places is described well enough."""


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
        self.last: dict[str, entries.Link] = {}

    def newest_release(self, dataset: str) -> Newest | None:
        return self.newest.get(dataset)

    def has_version(self, dataset: str, version: str) -> bool:
        return (dataset, version) in self.versions

    def has_root(self, dataset: str, root: str) -> bool:
        return root in self.roots.get(dataset, ())

    def has_state(self, dataset: str) -> bool:
        return bool(self.roots.get(dataset))

    def assume(self, row: StoredEntry) -> None:
        """Takes a damaged entry by its columns, so that what follows it is judged by itself."""
        if row.kind == "release" and isinstance(row.sequence, int):
            self.newest[row.dataset] = Newest(row.sequence, row.version, row.root)
            self.versions.add((row.dataset, row.version))
        if row.kind in ("release", "modification"):
            self.roots.setdefault(row.dataset, set()).add(row.root)

    def add(self, statement: Statement) -> None:
        if statement.kind == "release":
            release = statement.release()
            self.newest[statement.dataset] = Newest(release.sequence, statement.version, statement.root)
            self.versions.add((statement.dataset, statement.version))
        if statement.kind in ("release", "modification"):
            self.roots.setdefault(statement.dataset, set()).add(statement.root)


def check(log: Log, progress: Callable[[int], None] | None = None) -> Audit:
    """Checks a whole ledger.

    Args:
        progress: called with the number of entries just checked.

    Raises:
        IntegrityError: the database can't be read at all. Unavailable: it is locked.
    """
    audit = Audit()
    with log.store.view() as view:
        leaves = _entries(view, log, audit, progress)
        _tiles(view, leaves, audit)
        _heads(view, log, leaves, audit)
        _proofs(view, leaves, audit)
    return audit


def _entries(view: View, log: Log, audit: Audit, progress: Callable[[int], None] | None) -> list[bytes]:
    replay = _Replay()
    leaves: list[bytes] = []
    last_time = ""
    due = 0
    keys = log.admission.keys()
    for row in view.entries():
        where = f"entry {row.index}"
        if row.index != due:
            gone = f"entry {due} is" if row.index == due + 1 else f"entries {due} to {row.index - 1} are"
            audit.add(where, f"{gone} missing before it")
        due = row.index + 1
        leaf = merkle.leaf_hash(row.body)
        if leaf != row.leaf:
            audit.add(where, f"its bytes were changed: leaf hash {leaf.hex()}, stored as {row.leaf.hex()}")
        try:
            entry = entries.parse(row.body)
            _links(entry.header, row, leaves, replay, last_time)
            last_time = entry.header.logged_at
            verified = verify_bundle(entry.bundle, keys)
            entries.check_header(entry.header, verified.statement)
            _columns(row, entry.header, verified.statement, verified.key.fingerprint)
            log.admission.check(verified.statement, verified.key, replay)
            replay.add(verified.statement)
        except DatasealError as error:
            audit.add(where, error.what)
            replay.assume(row)
        replay.last[row.dataset] = entries.Link(row.index, row.leaf)
        leaves.append(row.leaf if len(row.leaf) == SIZE else leaf)
        audit.entries += 1
        if progress:
            progress(1)
    if (stray := view.count() - len(leaves)) > 0:
        audit.add("entries", f"{stray} with an index below 0, which belong to no tree")
    return leaves


def _links(header: entries.Header, row: StoredEntry, leaves: list[bytes], replay: _Replay, last_time: str) -> None:
    expected = leaves[-1] if leaves else None
    if header.prev != expected:
        raise IntegrityError("the hash chain is broken: prev is not the leaf hash of the entry before it")
    if header.dataset_prev != replay.last.get(header.dataset):
        raise IntegrityError(f"dataset_prev does not name the entry before it of {row.dataset!r}")
    if header.logged_at < last_time:
        raise IntegrityError(f"logged_at goes back to {header.logged_at}")


def _columns(row: StoredEntry, header: entries.Header, statement: Statement, signer: str) -> None:
    sequence = statement.release().sequence if statement.kind == "release" else None
    derived = {
        "kind": header.kind,
        "dataset": header.dataset,
        "logged_at": header.logged_at,
        "version": statement.version,
        "sequence": sequence,
        "root": statement.root,
        "table_digest": statement.table,
        "signer": signer,
        "payload": sha256(statement.payload).hex(),
    }
    for column, value in derived.items():
        if getattr(row, column) != value:
            raise IntegrityError(f"column {column} says {getattr(row, column)!r}; the entry says {value!r}")


def _tiles(view: View, leaves: list[bytes], audit: Audit) -> None:
    stored = {(level, number): data for level, number, data in view.tiles()}
    audit.tiles = len(stored)
    for level, number, data in _expected_tiles(leaves):
        found = stored.pop((level, number), None)
        if found is None:
            audit.add(f"tile {number} of level {level}", "is missing")
        elif found != data:
            at = next((i for i in range(0, len(data), SIZE) if found[i : i + SIZE] != data[i : i + SIZE]), len(data))
            leaf = f", the leaf of entry {number * TILE_WIDTH + at // SIZE}" if level == 0 else ""
            audit.add(f"tile {number} of level {level}", f"differs from the entries at hash {at // SIZE}{leaf}")
    for level, number in stored:
        audit.add(f"tile {number} of level {level}", "belongs to no entries")


def _expected_tiles(leaves: list[bytes]) -> Iterator[tuple[int, int, bytes]]:
    level, hashes = 0, leaves
    while hashes:
        above = []
        for number, start in enumerate(range(0, len(hashes), TILE_WIDTH)):
            part = hashes[start : start + TILE_WIDTH]
            yield level, number, b"".join(part)
            if len(part) == TILE_WIDTH:
                above.append(merkle.root_from_leaves(part))
        level, hashes = level + 1, above


def _heads(view: View, log: Log, leaves: list[bytes], audit: Audit) -> None:
    policy = policy_for_log(log.vkey)
    tree = merkle.CompactRange()
    newest = 0
    for head in view.heads():
        where = f"head of size {head.size}"
        audit.heads += 1
        newest = head.size
        if head.size > len(leaves):
            audit.add(where, f"the ledger holds only {len(leaves)} entries")
            continue
        tree.extend(leaves[tree.size : head.size])
        if tree.root() != head.root:
            audit.add(where, "its root is not the root of the entries")
        if head.note is not None:
            try:
                checked = policy.check(head.note).checkpoint
                if (checked.origin, checked.size, checked.root) != (log.origin, head.size, head.root):
                    raise FormatError("its checkpoint speaks of another origin, size or root")
            except DatasealError as error:
                audit.add(where, error.what)
    if newest != len(leaves):
        audit.add("newest head", f"covers {newest} entries of {len(leaves)}")


def _proofs(view: View, leaves: list[bytes], audit: Audit) -> None:
    head = view.head()
    if not audit.clean:
        return  # the proofs of a damaged tree would only repeat what was found
    for index, leaf in enumerate(leaves):
        try:
            proof = merkle.prove_inclusion(view, size=head.size, index=index)
            merkle.verify_inclusion(index=index, size=head.size, leaf=leaf, proof=proof, root=head.root)
            audit.proofs += 1
        except DatasealError as error:
            audit.add(f"entry {index}", error.what)
