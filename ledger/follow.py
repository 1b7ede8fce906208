"""A log read from its static resources, believing nothing that does not lead to a verified checkpoint.

 1. The checkpoint is signed by a log of the policy, and cosigned as the policy's quorum demands (`open_tree`).
 2. The tree's partial tiles, its right edge, fold to the checkpoint's root (`Tree`, when it is made).
 3. Each further tile hashes to what stands in the tile above it (`tlog.reader`).
 4. Each entry of a bundle hashes to its leaf in the level-0 tile (`Tree.entries`).
 5. The tree begins with one that was believed before (`check_extends`): the consistency proof is made from
    authenticated tiles, so that its failure means a fork, and nothing else.

Bundles and tiles are fetched ahead by threads, a bounded number of them, and checked in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from dataseal.ledger import entry as entries
from dataseal.ledger.errors import DatasealError, FormatError, ProofInvalid, Rollback, Unavailable, UsageError
from dataseal.ledger.resources import CHECKPOINT, Resources
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.checkpoint import Checkpoint
from dataseal.ledger.tlog.policy import CheckedCheckpoint, LogPolicy
from dataseal.ledger.tlog.proof import LogProof
from dataseal.ledger.tlog.reader import TileReader
from dataseal.ledger.tlog.tile import (
    HEIGHT,
    WIDTH,
    Tile,
    decode_bundle,
    encode_tile,
    entries_path,
    entry_hashes,
    tile_path,
    width_at,
)

JOBS: Final = 8
"""Bundles that are fetched at once; as many again wait to be checked. A bundle has at most 16 MiB, ours some 500 kB."""


class Fork(ProofInvalid):
    """Two checkpoints of one log that can't both be true: the log showed different histories."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The entries of one bundle, as far as the tree has them, with their authenticated leaf hashes."""

    index: int
    bodies: list[bytes]
    leaves: list[bytes]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the log: its place, its bytes, its authenticated leaf hash."""

    index: int
    body: bytes
    leaf: bytes


def open_tree(resources: Resources, policy: LogPolicy, *, require_quorum: bool = True) -> Tree:
    """Steps 1 and 2: the tree that a log serves now.

    Raises:
        Unavailable: there is no checkpoint, or no tile that it requires; or it can't be told.
        FormatError, SignatureInvalid, ProofInvalid: what there is does not hold.
    """
    data = resources.read(CHECKPOINT)
    if data is None:
        raise Unavailable(
            "no log is published there: it serves no checkpoint",
            where=f"{resources.name}/{CHECKPOINT}",
            hint="check the address: it is the folder or prefix that holds `checkpoint` and `tile/`",
        )
    with _located(f"{resources.name}/{CHECKPOINT}"):
        checked = policy.check(data, require_quorum=require_quorum)
    return Tree(resources, checked)


class Tree:
    """The tree under one verified checkpoint: a `merkle.HashReader`. Used by one thread at a time.

    Raises:
        ProofInvalid: the served tiles do not lead to the checkpoint's root.
        FormatError: one has the wrong length. Unavailable: one is missing.
    """

    def __init__(self, resources: Resources, checked: CheckedCheckpoint) -> None:
        self.resources = resources
        self.checked = checked
        self._ahead: dict[str, Future[bytes | None]] = {}
        self._reader = TileReader(self._read_tile, size=self.size, root=self.root)
        if self.size:
            with _located(resources.name):
                merkle.root_at(self._reader, self.size)  # 2

    @property
    def checkpoint(self) -> Checkpoint:
        """The tree head."""
        return self.checked.checkpoint

    @property
    def note(self) -> bytes:
        """The signed checkpoint as served."""
        return self.checked.signed.data

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """The root hash."""
        return self.checkpoint.root

    def read(self, nodes: Sequence[merkle.Node]) -> list[bytes]:
        """The hashes of complete subtrees."""
        with _located(self.resources.name):
            return self._reader.read(nodes)

    def tile(self, tile: Tile) -> bytes:
        """The authenticated bytes of a hash tile of this tree."""
        if tile.level is None:
            raise UsageError("an entry bundle is no hash tile")
        first = tile.index * WIDTH
        return encode_tile(self.read([(tile.level * HEIGHT, first + i) for i in range(tile.width)]))

    def entries(self, start: int = 0, stop: int | None = None, *, jobs: int = JOBS) -> Iterator[Leaf]:
        """Entries ``start`` up to ``stop`` (not included), each checked against its leaf hash."""
        stop = self._stop(start, stop)
        for bundle in self.bundles(start, stop, jobs=jobs):
            for offset, (body, leaf) in enumerate(zip(bundle.bodies, bundle.leaves, strict=True)):
                index = bundle.index * WIDTH + offset
                if start <= index < stop:
                    yield Leaf(index, body, leaf)

    def bundles(self, start: int = 0, stop: int | None = None, *, jobs: int = JOBS) -> Iterator[Bundle]:
        """The checked bundles that hold entries ``start`` up to ``stop``, in order, fetched ahead.

        Raises:
            ProofInvalid: an entry that is not the one in the tree. FormatError: no bundle. Unavailable: none there.
        """
        stop = self._stop(start, stop)
        numbers = iter(range(start // WIDTH, -(-stop // WIDTH)) if stop > start else ())
        waiting: deque[tuple[int, Future[tuple[str, bytes]]]] = deque()
        with ThreadPoolExecutor(jobs, "dataseal-fetch") as pool:
            try:
                while True:
                    while len(waiting) < 2 * jobs and (number := next(numbers, None)) is not None:
                        waiting.append((number, pool.submit(self._fetch_bundle, number)))
                        if width_at(0, number, self.size) == WIDTH:
                            path = tile_path(0, number)
                            self._ahead[path] = pool.submit(self.resources.read, path)
                    if not waiting:
                        return
                    number, fetched = waiting.popleft()
                    bundle = self._check_bundle(number, *fetched.result())
                    self._ahead.pop(tile_path(0, number), None)
                    yield bundle
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
                self._ahead.clear()

    def leaf(self, index: int) -> bytes:
        """The authenticated leaf hash of entry ``index``.

        Raises:
            UsageError: the tree has no such entry.
        """
        self._demand(index)
        return self.read([(0, index)])[0]

    def entry(self, index: int) -> Leaf:
        """Entry ``index``.

        Raises:
            UsageError: the tree has no such entry.
        """
        self._demand(index)
        return next(self.entries(index, index + 1, jobs=1))

    def prove(self, index: int) -> LogProof:
        """The proof file of an entry of ours, with its header as extra data.

        Raises:
            UsageError: the tree has no such entry. FormatError: its bytes are no entry of ours.
        """
        header = entries.parse(self.entry(index).body).header.encode()
        with _located(self.resources.name):
            hashes = merkle.prove_inclusion(self._reader, size=self.size, index=index)
        return LogProof(index, tuple(hashes), self.note, header)

    def _demand(self, index: int) -> None:
        if not 0 <= index < self.size:
            raise UsageError(
                f"no entry {index} in {self.checkpoint.origin}, which has {self.size}",
                hint="entries are counted from 0" if self.size else None,
            )

    def _stop(self, start: int, stop: int | None) -> int:
        stop = self.size if stop is None else stop
        if not 0 <= start <= stop <= self.size:
            raise UsageError(f"no entries {start} to {stop} in a log of {self.size}")
        return stop

    def _read_tile(self, path: str) -> bytes | None:
        ahead = self._ahead.pop(path, None)
        return self.resources.read(path) if ahead is None else ahead.result()

    def _fetch_bundle(self, number: int) -> tuple[str, bytes]:
        width = width_at(0, number, self.size)
        path = entries_path(number, width)
        data = self.resources.read(path)
        if data is None and width < WIDTH:
            path = entries_path(number)  # a log may delete partial bundles once the full one exists
            data = self.resources.read(path)
        if data is None:
            raise Unavailable(
                "the log does not serve entries that its checkpoint covers",
                where=f"{self.resources.name}/{path}",
                hint="try again, or a mirror",
            )
        return path, data

    def _check_bundle(self, number: int, path: str, data: bytes) -> Bundle:
        where = f"{self.resources.name}/{path}"
        with _located(self.resources.name):
            leaves = self._reader.leaves(number)
        try:
            bodies = decode_bundle(data, WIDTH if path == entries_path(number) else len(leaves))[: len(leaves)]
        except FormatError as error:
            raise FormatError(error.what, where=where, hint="the bundle is cut or altered: try a mirror") from None
        for offset, (found, leaf) in enumerate(zip(entry_hashes(bodies), leaves, strict=True)):
            if found != leaf:
                raise ProofInvalid(
                    f"entry {number * WIDTH + offset} is not the one in the log's tree: its bytes were changed",
                    where=where,
                    hint="keep the bundle as evidence, and ask a mirror",
                )
        return Bundle(number, bodies, leaves)


def check_extends(tree: Tree, old: Checkpoint) -> list[bytes]:
    """Step 5: the tree begins with the older one; returns the consistency proof, empty from nothing or to the same.

    Raises:
        Rollback: it is smaller. Fork: it does not begin with it.
        UsageError: another log's checkpoint. As `Tree.read`, for a tile that is missing or altered.
    """
    new = tree.checkpoint
    if new.origin != old.origin:
        raise UsageError(f"{new.origin!r} and {old.origin!r} are two logs: neither begins with the other")
    if new.size < old.size:
        raise Rollback(
            f"{new.origin} serves {head(new)}; it had {head(old)} before",
            where=tree.resources.name,
            hint="a mirror or cache may be behind: try again, or another; if it stays so, entries were lost or hidden",
        )
    if new.size == old.size:
        if new.root != old.root:
            raise _fork(tree, old, new.root)
        return []
    if not old.size:
        return []
    with _located(tree.resources.name):
        proof = merkle.prove_consistency(tree, old=old.size, new=new.size)
    try:
        merkle.verify_consistency(old=old.size, new=new.size, old_root=old.root, new_root=new.root, proof=proof)
    except ProofInvalid:
        with _located(tree.resources.name):
            raise _fork(tree, old, merkle.root_at(tree, old.size)) from None
    return proof


def head(checkpoint: Checkpoint) -> str:
    """A checkpoint for people: its size and root."""
    return f"size {checkpoint.size}, root {checkpoint.root.hex()}"


def _fork(tree: Tree, old: Checkpoint, instead: bytes) -> Fork:
    return Fork(
        f"{old.origin} forked: {head(tree.checkpoint)} does not continue {head(old)}; "
        f"of its first {old.size} entries the root is {instead.hex()}",
        where=tree.resources.name,
        hint="the log showed different histories to different people, or at different times: "
        "keep both checkpoints, stop using it, and tell its other users",
    )


@contextmanager
def _located(name: str) -> Iterator[None]:
    """Puts the log's place before the path in an error."""
    try:
        yield
    except DatasealError as error:
        where = error.where or ""
        if where.startswith(name):
            raise
        raise type(error)(
            error.what, where=f"{name}/{where}".rstrip("/"), hint=error.hint, detail=error.detail
        ) from error
