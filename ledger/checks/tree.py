"""The tree over the entries as they come: every stored tile is held against it, and every head.

When all tiles are those of the entries, every proof that is made from them holds: a proof has nothing but hashes of
tiles, and hashes of those.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataseal.ledger.checks.chain import Report
from dataseal.ledger.digest import SIZE
from dataseal.ledger.errors import DatasealError, FormatError
from dataseal.ledger.log import Log
from dataseal.ledger.store.store import TILE_HEIGHT, TILE_WIDTH, View
from dataseal.ledger.store.view import Head
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint


class Tree:
    """The tree of the leaves so far.

    Args:
        signatures: verify every checkpoint's signature; without it, the newest one's (which is over a tree that holds
            all that is before it), and what the others say.
    """

    def __init__(self, view: View, log: Log, report: Report, *, signatures: bool) -> None:
        self._view, self._log, self._report = view, log, report
        self._policy = log.quorum.policy
        self._range = merkle.CompactRange()
        self._every = signatures
        self._newest = {view.signed_head().size, view.cosigned_head().size}
        self._stored = view.heads()
        self._head = next(self._stored, None)
        self._covered = 0
        self._rows: list[list[bytes]] = [[]]
        self._numbers = [0]
        self.heads = self.tiles = 0

    @property
    def size(self) -> int:
        """Entries so far."""
        return self._range.size

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Takes the leaf hashes that come next."""
        at = 0
        while self._head and self._head.size <= self._range.size + len(leaves) - at:
            stop = at + self._head.size - self._range.size
            if stop > at:
                self._add(leaves[at:stop])
                at = stop
            self._judge(self._head, self._range.root() if self._head.size == self._range.size else b"")
        if at < len(leaves):
            self._add(leaves[at:])

    def _add(self, leaves: Sequence[bytes]) -> None:
        for level, _, hashes in self._range.extend(leaves):
            if level % TILE_HEIGHT == 0:
                self._fill(level // TILE_HEIGHT, hashes)

    def _fill(self, level: int, hashes: Sequence[bytes]) -> None:
        while len(self._rows) <= level:
            self._rows.append([])
            self._numbers.append(0)
        row = self._rows[level]
        row += hashes
        while len(row) >= TILE_WIDTH:
            self._tile(level, self._numbers[level], row[:TILE_WIDTH])
            self._numbers[level] += 1
            del row[:TILE_WIDTH]

    def _tile(self, level: int, number: int, hashes: Sequence[bytes]) -> None:
        data, found = b"".join(hashes), self._view.tile(level, number)
        where = f"tile {number} of level {level}"
        if not found:
            self._report(where, "is missing")
        elif found != data:
            at = next((i for i in range(0, len(data), SIZE) if found[i : i + SIZE] != data[i : i + SIZE]), len(data))
            leaf = f", the leaf of entry {number * TILE_WIDTH + at // SIZE}" if level == 0 else ""
            self._report(where, f"differs from the entries at hash {at // SIZE}{leaf}")

    def _judge(self, head: Head, root: bytes) -> None:
        where = f"head of size {head.size}"
        self.heads += 1
        self._covered = head.size
        if root != head.root:
            self._report(where, "its root is not the root of the entries")
        if head.cosigned is not None and not head.cosigned.startswith(head.note or b"\0"):
            self._report(where, "its cosigned checkpoint is not the signed one with lines behind it")
        for note in {note for note in (head.note, head.cosigned) if note is not None}:
            try:
                self._checkpoint(head, note)
            except DatasealError as error:
                self._report(where, error.what)
        self._head = next(self._stored, None)

    def _checkpoint(self, head: Head, note: bytes) -> None:
        if self._every or head.size in self._newest:
            self._policy.check(note, require_quorum=False)
        # A note is its text, an empty line and signatures (C2SP signed-note): what is signed begins it.
        if not note.startswith(Checkpoint(self._log.origin, head.size, head.root).encode() + b"\n"):
            raise FormatError("its checkpoint speaks of another origin, size or root")

    def finish(self) -> None:
        """What is left: partial tiles, and heads and tiles beyond the entries."""
        for level, row in enumerate(self._rows):
            if row:
                self._tile(level, self._numbers[level], row)
        while self._head:
            self.heads += 1
            self._covered = self._head.size
            self._report(f"head of size {self._head.size}", f"the ledger holds only {self._range.size} entries")
            self._head = next(self._stored, None)
        if self._covered != self._range.size:
            self._report("newest head", f"covers {self._covered} entries of {self._range.size}")
        for level, number in self._view.tile_numbers():
            self.tiles += 1
            width = self._range.size >> (TILE_HEIGHT * level) if 0 <= level < 8 else 0
            if not 0 <= number * TILE_WIDTH < width:
                self._report(f"tile {number} of level {level}", "belongs to no entries")
