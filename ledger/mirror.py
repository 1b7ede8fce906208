"""Copies a verified tree to another place, so that at any moment the place holds a valid log.

 1. The place's own checkpoint, if it has one, is of a log of the policy, and its tiles lead to it.
 2. The tree continues it: a smaller one, another root for its size, or another history stops the copy.
 3. Bundles and tiles are written, each checked against the tree; one that is there already is left, one that is there
    with other bytes stops the copy, since what was once served must not change.
 4. All of them are brought to the disk, and only then
 5. the checkpoint is written, if the place's is still the one that was checked.
 6. Partial tiles whose full tile is there now are removed: readers of an older checkpoint find the full one.

A crash before 5 leaves the older log with some files beyond it, which the next run finds again; partials of the older
log stay until 6.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from dataseal.ledger.errors import IntegrityError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.follow import JOBS, Tree, check_extends, open_tree
from dataseal.ledger.places import Destination
from dataseal.ledger.resources import CHECKPOINT, Resources
from dataseal.ledger.tlog.policy import LogPolicy
from dataseal.ledger.tlog.tile import WIDTH, Tile, encode_bundle, new_tiles, width_at
from dataseal.ledger.view import Views, follow

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did: the tree, the size that was there before, files and bytes written, files found."""

    tree: Tree
    before: int
    written: int
    bytes: int
    found: int


def mirror(
    source: Resources, destination: Destination, policy: LogPolicy, views: Views, *, jobs: int = JOBS,
    progress: Progress | None = None,
) -> Copied:  # fmt: skip
    """Follows a log (`view.follow`) and copies it.

    Raises:
        As `view.follow` and `replicate`.
    """
    return replicate(follow(source, policy, views), destination, policy, jobs=jobs, progress=progress)


def replicate(
    tree: Tree, destination: Destination, policy: LogPolicy, *, jobs: int = JOBS, progress: Progress | None = None
) -> Copied:
    """Makes ``destination`` hold the log of ``tree``.

    Args:
        policy: the log that the destination may hold. progress: called with the number of entries just copied.

    Raises:
        UsageError: the place holds another log.
        Rollback: it is ahead of the tree. Fork: it holds another history.
        IntegrityError: it holds other bytes than the tree's. ProofInvalid, FormatError: its tiles or the tree's don't
        hold. Unavailable: it can't be read or written, or another publisher is at work or was faster.
    """
    with destination.writing():
        there = destination.read(CHECKPOINT)
        before = _size_before(tree, destination, there, policy)
        copy = _Copy(tree, destination, jobs)
        if before != tree.size or there is None:
            copy.run(before, progress)
            destination.settle()  # 4
        if there != tree.note:
            if destination.read(CHECKPOINT) != there:  # a place that knows no locks
                raise Unavailable(
                    "another publisher was faster", where=destination.name, hint="run this again; one publisher a place"
                )
            destination.put(CHECKPOINT, tree.note)  # 5
            destination.settle()
        for tile in _completed(before, tree.size):  # 6
            destination.discard_partials(tile)
    return Copied(tree, before, copy.written, copy.bytes, copy.found)


def recheck(destination: Resources, policy: LogPolicy, *, jobs: int = JOBS, progress: Progress | None = None) -> Tree:
    """Reads a whole published log, every entry and tile of it, and checks it against its checkpoint.

    Raises:
        As `follow.open_tree` and `Tree.entries`.
    """
    tree = open_tree(destination, policy)
    for bundle in tree.bundles(jobs=jobs):
        if progress:
            progress(len(bundle.bodies))
    return tree


def _size_before(tree: Tree, destination: Destination, there: bytes | None, policy: LogPolicy) -> int:
    if there is None:
        return 0
    try:
        checked = policy.check(there, require_quorum=False)
    except SignatureInvalid as error:
        raise UsageError(
            f"another log is published there: {error.what}",
            where=f"{destination.name}/{CHECKPOINT}",
            hint="choose an empty place; what is there was not touched",
        ) from None
    if checked.log != tree.checkpoint.origin:
        raise UsageError(
            f"another log is published there: {checked.log}, not {tree.checkpoint.origin}",
            where=f"{destination.name}/{CHECKPOINT}",
            hint="choose an empty place; what is there was not touched",
        )
    old = Tree(destination, checked)  # 1
    check_extends(tree, old.checkpoint)  # 2
    return old.size


def _completed(before: int, size: int) -> Iterator[Tile]:
    """The tiles and bundles that were partial and are full now."""
    level = 0
    while before:
        index = before // WIDTH
        if before % WIDTH and width_at(0, index, size) == WIDTH:
            yield Tile(level, index)
            if level == 0:
                yield Tile(None, index)
        before, size, level = before // WIDTH, size // WIDTH, level + 1


class _Copy:
    """Step 3: writes in threads, a bounded number ahead."""

    def __init__(self, tree: Tree, destination: Destination, jobs: int) -> None:
        self._tree = tree
        self._destination = destination
        self._jobs = jobs
        self._waiting: deque[Future[int]] = deque()
        self.written = self.bytes = self.found = 0

    def run(self, before: int, progress: Progress | None) -> None:
        with ThreadPoolExecutor(self._jobs, "dataseal-copy") as pool:
            try:
                for tile, data in self._resources(before, progress):
                    self._waiting.append(pool.submit(self._put, tile.path, data))
                    if len(self._waiting) > 2 * self._jobs:
                        self._take()
                while self._waiting:
                    self._take()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _resources(self, before: int, progress: Progress | None) -> Iterator[tuple[Tile, bytes]]:
        tree = self._tree
        for bundle in tree.bundles(before // WIDTH * WIDTH, jobs=self._jobs):
            width = len(bundle.bodies)
            yield Tile(None, bundle.index, width), encode_bundle(bundle.bodies)
            yield Tile(0, bundle.index, width), b"".join(bundle.leaves)
            if progress:
                progress(width)
        for tile in new_tiles(before, tree.size):
            if tile.level:
                yield tile, tree.tile(tile)

    def _put(self, path: str, data: bytes) -> int:
        there = self._destination.read(path)
        if there == data:
            return 0
        # The start of the right bytes, and no more, is what a crash leaves where a put can be seen half done.
        if there is not None and not data.startswith(there):
            raise IntegrityError(
                "the place holds other bytes than the log's: what was once served must not change",
                where=f"{self._destination.name}/{path}",
                hint="if no checkpoint was ever served there, remove its `tile` folder and run this again; "
                "otherwise keep both as evidence, and publish elsewhere",
            )
        self._destination.put(path, data)
        return len(data)

    def _take(self) -> None:
        size = self._waiting.popleft().result()
        self.written += bool(size)
        self.bytes += size
        self.found += not size
