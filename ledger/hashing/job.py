"""What the threads of one run share, and what each has for itself."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dataseal.ledger.digest import SIZE, Hash, chunk_hash, chunks_hasher
from dataseal.ledger.hashing.opening import Below, Identity, changed, identity_of, opened, unreadable
from dataseal.ledger.hashing.walk import File
from dataseal.ledger.manifest import Parameters, Shard, shard_root

Progress = Callable[[int], None]
"""Called with the bytes just read; from several threads. One that is a `Meter` is told the sum before."""

Inspect = Callable[[File, memoryview], None]
"""Called once a file, with its first chunk or so much of it as is read at once, while it is read; it may raise."""

Finished = Callable[[File, Shard], None]
"""Called with each file that is hashed, in any order; from several threads."""

BUFFER: Final = 256 * 1024
"""Bytes that are read at once, of a large chunk or of several small ones: what is hashed, twice when signing, is then
still in the processor's own cache, which counts when others use the machine too."""


class Meter:
    """A `Progress` that wants to know how much there is to do."""

    def expect(self, amount: int) -> None:
        """So many more bytes will be read."""

    def __call__(self, amount: int) -> None:
        """So many bytes were read."""


class Stopped(Exception):
    """Another thread failed, or the user wants to stop."""


class Job:
    """What the threads share."""

    def __init__(
        self,
        files: Sequence[File],
        parameters: Parameters,
        whole: bool,
        progress: Progress | None,
        inspect: Inspect | None,
        finished: Finished | None = None,
        *,
        sink: Callable[[memoryview], object] | None = None,
        shorter: Mapping[str, Shard] | None = None,
    ) -> None:
        self.files = files
        self.chunk = parameters.chunk_size
        self.digest = chunks_hasher(parameters.chunk_hash)
        self.begin = chunk_hash(parameters.chunk_hash)
        self.sha256_chunks = parameters.chunk_hash == "sha256"
        self.whole = whole
        self.progress = progress
        self.inspect = inspect
        self.finished = finished
        self.sink = sink
        self.shorter = shorter or {}
        self.shards: list[Shard | None] = [None] * len(files)
        self.stopped = False
        self.error: BaseException | None = None

    def grown(self, index: int) -> Shard | None:
        """A shorter state of a file that is worth proving."""
        old = self.shorter.get(self.files[index].path) if self.whole else None
        return old if old and old.sha256 and self.chunk <= old.size < self.files[index].size else None

    def length(self, index: int, chunk: int) -> int:
        """Bytes of a chunk of a file."""
        return max(0, min(self.chunk, self.files[index].size - chunk * self.chunk))

    def all(self) -> list[Shard]:
        """The shards, in the order of the files; none may be missing."""
        found = [shard for shard in self.shards if shard is not None]
        if len(found) != len(self.files):
            raise RuntimeError(f"{len(found)} of {len(self.files)} files were hashed")
        return found

    def make(self, index: int, chunks: bytes, sha256: bytes) -> None:
        """A file is done."""
        file = self.files[index]
        if self.sha256_chunks and len(chunks) == SIZE:
            sha256 = chunks  # one chunk is the whole file
        shard = Shard(file.path, file.size, sha256, shard_root(chunks), chunks)
        self.shards[index] = shard
        if self.finished:
            self.finished(file, shard)

    def read(self, file: File, view: memoryview, *, first: bool) -> None:
        """What happens with every buffer, beside its digests."""
        if first and self.inspect:
            self.inspect(file, view[: self.chunk])
        if self.sink:
            self.sink(view)
        if self.progress:
            self.progress(len(view))
        if self.stopped:
            raise Stopped


class Hands:
    """What one thread has for itself: open folders and a buffer."""

    def __init__(self, job: Job) -> None:
        self._folders: dict[str, Below] = {}
        self.view = aligned(min(BUFFER, max((file.size for file in job.files), default=0)))

    def open(self, file: File) -> int:
        try:
            folder = self._folders.get(file.folder)
            if folder is None:
                folder = self._folders[file.folder] = Below(file.folder)
            return folder.open(file.path)
        except OSError as error:
            raise unreadable(file.path, error) from None

    def close(self) -> None:
        for folder in self._folders.values():
            folder.close()


def aligned(size: int) -> memoryview:
    """A buffer that begins a page, for `fill`.

    A large bytearray may begin a few bytes behind the start of one. To there some processors copy a file's pages
    several times as slowly (measured on an AMD EPYC: 20 KB in 14 microseconds instead of 4; their SHA-256 takes 14).
    """
    return memoryview(mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))[:size]


def fill(descriptor: int, view: memoryview, offset: int, path: str) -> None:
    """Reads exactly ``view``: short reads must not move chunk borders."""
    wanted = len(view)
    try:
        got = os.preadv(descriptor, (view,), offset) if wanted else 0
        while got < wanted:
            more = os.preadv(descriptor, (view[got:],), offset + got) if got else 0
            if not more:
                raise changed(path)
            got += more
    except OSError as error:
        raise unreadable(path, error) from None


def read(
    job: Job,
    hands: Hands,
    index: int,
    start: int,
    end: int,
    full: Callable[[memoryview], object] | None,
    *,
    skip: int = 0,
) -> tuple[bytes, Identity]:
    """The chunk digests of a range of a large file, and the identity that it kept.

    Args:
        full: is given the bytes too. skip: where the chunks begin that need a digest.
    """
    file = job.files[index]
    found: list[bytes] = []
    one: Hash | None = None
    descriptor = hands.open(file)
    try:
        before = opened(descriptor, file.path, file.size, file.identity)
        for offset in range(start, end, BUFFER):
            view = hands.view[: min(BUFFER, end - offset)]
            fill(descriptor, view, offset, file.path)
            job.read(file, view, first=offset == 0)
            after = offset + len(view)
            if after > skip and job.chunk <= BUFFER:
                found.append(job.digest(view[max(0, skip - offset) :], job.chunk))
            elif after > skip:
                one = one or job.begin()
                one.update(view)
                if after == end or not after % job.chunk:
                    found.append(one.digest())
                    one = None
            if full:
                full(view)
        if identity_of(os.fstat(descriptor)) != before:
            raise changed(file.path)
    finally:
        os.close(descriptor)
    return b"".join(found), before
