"""The files below a folder as OMS sees them: every one, none left out by rule, and their digests in its algorithms.

Nothing is followed: a symbolic link is a `Problem`, also when the signer allowed links, since what it leads to is the
consumer's own file system.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Final, Protocol

from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.ledger.hashing import File, Problem, Progress
from dataseal.ledger.hashing.opening import Below, changed, identity_of, opened, unreadable
from dataseal.ledger.oms.statement import SINGLE

BLOCK: Final = 1024 * 1024
"""Bytes read at once."""


class Hasher(Protocol):
    """What `hashlib` and ``blake3`` have in common."""

    def update(self, data: memoryview, /) -> object:
        """Takes more bytes."""

    def digest(self) -> bytes:
        """The digest of what was taken."""


def hasher(algorithm: str) -> Callable[[], Hasher]:
    """What makes a new hasher for one of `statement.DIGEST_SIZES`.

    Raises:
        FormatError: an unknown algorithm.
    """
    if algorithm == "sha256":
        return hashlib.sha256
    if algorithm == "blake2b":
        return hashlib.blake2b
    if algorithm == "blake3":
        from blake3 import blake3

        return blake3
    raise FormatError(f"unknown digest algorithm {algorithm!r}")


def walk(target: Path) -> tuple[list[File], list[Problem]]:
    """Every file at or below ``target``, and what is neither a file nor a folder; a single file is called ``.``.

    Raises:
        IntegrityError: a file vanished meanwhile. Unavailable: a folder can't be listed.
    """
    if not target.is_dir():
        named = target.resolve()  # a link that the user names is meant; those below a folder are its maker's
        found = _seen(named, SINGLE)
        return [File(SINGLE, os.fspath(named), found.st_size, identity_of(found))], []
    files: list[File] = []
    problems: list[Problem] = []
    for path, item in _scan(os.fspath(target)):
        if item.is_file(follow_symlinks=False):
            seen = _seen(item, path)
            files.append(File(path, os.fspath(target), seen.st_size, identity_of(seen)))
        else:
            what = "a symbolic link" if item.is_symlink() else "neither a file nor a folder"
            problems.append(Problem(path, f"is {what}; only plain files are read"))
    return sorted(files, key=lambda f: f.path), sorted(problems, key=lambda p: p.path)


def _seen(item: Path | os.DirEntry[str], path: str) -> os.stat_result:
    try:
        return item.stat(follow_symlinks=False)
    except OSError as error:
        raise unreadable(path, error) from None


def _scan(root: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    todo = [(root, "")]
    while todo:
        folder, prefix = todo.pop()
        try:
            with os.scandir(folder) as found:
                items = list(found)
        except OSError as error:
            raise Unavailable(
                f"can't list the folder: {error.strerror}", where=folder[:200], hint="check its permissions"
            ) from None
        for item in items:
            if item.is_dir(follow_symlinks=False):
                todo.append((item.path, f"{prefix}{item.name}/"))
            else:
                yield prefix + item.name, item


def digests(
    files: Sequence[File],
    algorithm: str,
    shard_size: int | None,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[tuple[bytes, ...]]:
    """Each file's digest, or the digests of its shards of ``shard_size`` bytes, in the order given.

    Raises:
        IntegrityError: a file changed or vanished while it was read. Unavailable: one can't be read.
    """
    make = hasher(algorithm)
    workers = max(1, min(jobs or os.cpu_count() or 1, len(files) or 1))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(_digests, files, repeat(make), repeat(shard_size), repeat(progress)))


def _digests(
    file: File, make: Callable[[], Hasher], shard_size: int | None, progress: Progress | None
) -> tuple[bytes, ...]:
    try:
        descriptor = _open(file)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            before = opened(descriptor, file.path, file.size, file.identity)
            found = tuple(_read(stream, make, shard_size, file.size, progress))
            after = identity_of(os.fstat(descriptor))
    except OSError as error:
        raise unreadable(file.path, error) from None
    if before != after:
        raise changed(file.path)
    return found


def _open(file: File) -> int:
    """As in `hashing`: what the walk saw as a file must not have become a link, or lie behind one."""
    if file.path == SINGLE:
        return os.open(file.folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    below = Below(file.folder)
    try:
        return below.open(file.path)
    finally:
        below.close()


def _read(
    stream: object, make: Callable[[], Hasher], shard_size: int | None, size: int, progress: Progress | None
) -> Iterator[bytes]:
    """A digest for each shard. An empty file has one of nothing when it is hashed whole, and none in shards."""
    buffer = memoryview(bytearray(max(1, min(BLOCK, size))))
    left = size
    if not size and shard_size is None:
        yield make().digest()
    while left:
        running, wanted = make(), min(left, shard_size or left)
        left -= wanted
        while wanted:
            got = stream.readinto(buffer[: min(len(buffer), wanted)])  # type: ignore[attr-defined]
            if not got:
                return  # shorter than it was: the caller sees that it changed
            running.update(buffer[:got])
            wanted -= got
            if progress:
                progress(got)
        yield running.digest()
