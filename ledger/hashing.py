"""From files to shards: one walk, one read of every byte.

The walk lists regular files below a folder in the order of their paths' bytes. What the rules forbid (symlinks, special
files, names that break `dataseal.ledger.paths`) is returned as a `Problem` beside the files: signing raises on the
first, verification reports them all. Files are hashed by threads (hashlib releases the GIL), biggest first; memory is
bounded by workers x chunk. A file that changes while it is read is refused.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import stat as stats
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dataseal.ledger.digest import chunk_hasher
from dataseal.ledger.errors import DatasealError, FormatError, IntegrityError, Unavailable, UsageError
from dataseal.ledger.manifest import Parameters, Shard, shard_root
from dataseal.ledger.paths import LEFT_OUT, check_path, sort_key

Progress = Callable[[int], None]
"""Called with the bytes just read; from several threads."""

Inspect = Callable[["File", memoryview], None]
"""Called once a file, with its first chunk (empty for an empty file), while it is read; it may raise."""


@dataclass(frozen=True, slots=True)
class File:
    """A regular file below the walked folder: its shard path, where it lies, and its size in bytes."""

    path: str
    location: str
    size: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something below the walked folder that can't be a shard, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies below a folder.

    Attributes:
        files: regular files, in the order of their paths' bytes. problems: what can't be a shard.
        left_out: top-level folders that are never shards. excluded: paths that an exclusion matched.
    """

    files: tuple[File, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[str, ...]
    excluded: tuple[str, ...]


def walk(folder: str | os.PathLike[str], exclusions: Sequence[str] = ()) -> Walk:
    """Lists ``folder``.

    Args:
        exclusions: globs over whole shard paths (``*`` crosses slashes), as a release records them.

    Raises:
        UsageError: ``folder`` is missing or not a folder. IntegrityError: a file vanished meanwhile.
        Unavailable: a folder below it can't be listed.
    """
    root = os.fspath(folder)
    if not os.path.isdir(root):
        missing = not os.path.lexists(root)
        raise UsageError(
            f"{'no such folder' if missing else 'not a folder'}: {root}",
            hint="give the folder that holds the dataset's files",
        )
    files: list[File] = []
    problems: list[Problem] = []
    left_out: list[str] = []
    excluded: list[str] = []
    for path, item in _scan(root, left_out):
        if any(fnmatch.fnmatchcase(path, glob) for glob in exclusions):
            excluded.append(path)
            continue
        reason = _why_not(path, item)
        if reason:
            problems.append(Problem(path, reason))
        else:
            try:
                size = item.stat(follow_symlinks=False).st_size
            except OSError as error:
                raise _unreadable(path, error) from None
            files.append(File(path, item.path, size))
    files.sort(key=lambda f: sort_key(f.path))
    problems.sort(key=lambda p: os.fsencode(p.path))
    return Walk(tuple(files), tuple(problems), tuple(sorted(left_out)), tuple(sorted(excluded)))


def _scan(root: str, left_out: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Whatever is no folder, by shard path. A loop, because whoever made the dataset chose how deep it nests."""
    folders = [(root, "")]
    while folders:
        folder, prefix = folders.pop()
        try:
            with os.scandir(folder) as found:
                items = list(found)
        except OSError as error:
            raise Unavailable(
                f"can't list the folder: {error.strerror}", where=folder[:200], hint="check its permissions"
            ) from None
        for item in items:
            path = prefix + item.name
            if not item.is_dir(follow_symlinks=False):
                yield path, item
            elif path in LEFT_OUT:
                left_out.append(path)
            else:
                folders.append((item.path, path + "/"))


def _why_not(path: str, item: os.DirEntry[str]) -> str | None:
    if item.is_symlink():
        try:
            target = os.readlink(item.path)
        except OSError:
            target = "?"
        return f"is a symbolic link to {target!r}; a dataset holds plain files only"
    if not item.is_file(follow_symlinks=False):
        return "is neither a file nor a folder; a dataset holds plain files only"
    try:
        check_path(path)
    except FormatError as error:
        return error.what.removeprefix(f"path {path[:200]!r} ")
    return None


def hash_files(
    files: Sequence[File],
    parameters: Parameters,
    *,
    whole: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
) -> list[Shard]:
    """Hashes files into shards, in the order given.

    Args:
        whole: compute the whole-file SHA-256 too (needed for signing). Without it `Shard.sha256` is empty, except
            that a file of one SHA-256 chunk gets it for free.
        jobs: threads; the number of processors when None.

    Raises:
        IntegrityError: a file changed or vanished while it was read. Unavailable: a file can't be read.
    """
    workers = max(1, min(jobs or os.cpu_count() or 1, len(files) or 1))
    order = sorted(range(len(files)), key=lambda i: -files[i].size)
    shards: list[Shard | None] = [None] * len(files)

    def one(index: int) -> None:
        shards[index] = hash_file(files[index], parameters, whole=whole, progress=progress, inspect=inspect)

    if workers == 1:
        for index in order:
            one(index)
    else:
        with ThreadPoolExecutor(workers) as pool:
            futures = [pool.submit(one, index) for index in order]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return [shard for shard in shards if shard is not None]


def hash_file(
    file: File,
    parameters: Parameters,
    *,
    whole: bool = True,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
) -> Shard:
    """Hashes one file; see `hash_files`."""
    digest_chunk = chunk_hasher(parameters.chunk_hash)
    full = hashlib.sha256()
    buffer = bytearray(min(parameters.chunk_size, max(file.size, 1)))
    chunks: list[bytes] = []
    size = 0
    many = file.size > parameters.chunk_size
    free = parameters.chunk_hash == "sha256" and not many
    try:
        # What the walk saw as a file must not have become a link (O_NOFOLLOW) or a pipe that never ends (O_NONBLOCK).
        descriptor = os.open(file.location, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            before = os.fstat(descriptor)
            if not stats.S_ISREG(before.st_mode):
                raise _changed(file.path)
            while filled := _fill(stream, buffer):
                view = memoryview(buffer)[:filled]
                if inspect and not chunks:
                    inspect(file, view)
                chunks.append(digest_chunk(view))
                if whole and not free:
                    full.update(view)
                size += filled
                if progress:
                    progress(filled)
                if size > file.size:
                    break
            if inspect and not chunks:
                inspect(file, memoryview(b""))
            after = os.fstat(descriptor)
    except OSError as error:
        raise _unreadable(file.path, error) from None
    if _identity(before) != _identity(after) or size != file.size:
        raise _changed(file.path)
    joined = b"".join(chunks)
    if free:
        sha256 = chunks[0] if chunks else full.digest()
    else:
        sha256 = full.digest() if whole else b""
    return Shard(file.path, size, sha256, shard_root(joined), joined)


def _fill(stream: object, buffer: bytearray) -> int:
    """Reads until the buffer is full or the file ends: short reads must not move chunk borders."""
    filled = 0
    view = memoryview(buffer)
    while filled < len(buffer):
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            break
        filled += got
    return filled


def _identity(s: os.stat_result) -> tuple[int, ...]:
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def _changed(path: str) -> IntegrityError:
    return IntegrityError(
        "the file changed while it was read", where=path, hint="stop what writes to it, and run again"
    )


def _unreadable(path: str, error: OSError) -> DatasealError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return IntegrityError(
            "the file vanished while the dataset was read", where=path, hint="stop what removes it, and run again"
        )
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder or a socket took its place
        return _changed(path)
    return Unavailable(f"can't read the file: {error.strerror}", where=path, hint="check its permissions")
