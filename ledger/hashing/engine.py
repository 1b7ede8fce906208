"""Hashes files into shards: one read of every byte, threads over files and over the chunks of a huge one.

The work is cut beforehand into tasks, biggest files first, that any thread may take; whatever the cut and the order,
the shards are the same:

- *the tiny files*, all of them for one thread: between two threads the GIL would change hands at each of a file's
  five system calls, which costs more than the second processor gives (measured: up to 128 KiB);
- *a batch of small files* (one chunk at most): each is read with one call into one buffer that is used again;
- *a part of a file*, when only chunk digests are wanted: chunks are independent, so that parts are too. Each part opens
  the file for itself, and all of them must see the same file;
- *a whole file*, when its SHA-256 is wanted too: that is sequential, so one thread reads, and both digests are made
  from the same buffer;
- *a piped file*, a whole file so large that one thread with it would be the last to end: the thread that reads makes
  the SHA-256 and hands the buffers to a helper for the chunk digests. When no helper comes, it does them itself.

hashlib releases the GIL. Memory is bounded by threads x chunk: a buffer a thread, three for a piped file.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from dataseal.ledger.digest import chunks_hasher
from dataseal.ledger.hashing.opening import Below, Identity, changed, identity_of, opened, unreadable
from dataseal.ledger.hashing.walk import File
from dataseal.ledger.manifest import Parameters, Shard, shard_root

Progress = Callable[[int], None]
"""Called with the bytes just read; from several threads. One that is a `Meter` is told the sum before."""

Inspect = Callable[[File, memoryview], None]
"""Called once a file, with its first chunk (empty for an empty file), while it is read; it may raise."""

Finished = Callable[[File, Shard], None]
"""Called with each file that is hashed, in any order; from several threads."""

BUFFER: Final = 256 * 1024
"""Bytes that are read at once where chunks are smaller: fewer calls, and still in the processor's cache."""

PART: Final = 32 * 1024 * 1024
"""Bytes of a part, at least: long enough that opening the file again does not count."""

TINY: Final = 128 * 1024
"""Bytes of the largest file that is not worth a second thread."""

BATCH: Final = 8 * 1024 * 1024
"""Bytes of a batch of small files: short enough that no thread is left alone with the last one."""

SLOTS: Final = 3
"""Buffers of a piped file: one that is filled and hashed, one with the helper, one between them."""


class Meter:
    """A `Progress` that wants to know how much there is to do."""

    def expect(self, amount: int) -> None:
        """So many more bytes will be read."""

    def __call__(self, amount: int) -> None:
        """So many bytes were read."""


def hash_files(
    files: Sequence[File],
    parameters: Parameters,
    *,
    whole: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
    finished: Finished | None = None,
) -> list[Shard]:
    """Hashes files into shards, in the order given.

    Args:
        whole: compute the whole-file SHA-256 too (needed for signing). Without it `Shard.sha256` is empty, except
            that a file of one SHA-256 chunk gets it for free.
        jobs: threads; one a processor when None.

    Raises:
        IntegrityError: a file changed or vanished while it was read. Unavailable: a file can't be read.
    """
    if isinstance(progress, Meter):
        progress.expect(sum(file.size for file in files))
    job = _Job(files, parameters, whole, progress, inspect, finished)
    workers = max(1, jobs or _processors())
    tasks = _plan(job, workers)
    _run(job, tasks, min(workers, len(tasks)))
    return [shard for shard in job.shards if shard is not None]


def hash_file(
    file: File,
    parameters: Parameters,
    *,
    whole: bool = True,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
    sink: Callable[[memoryview], object] | None = None,
) -> Shard:
    """Hashes one file in this thread; see `hash_files`.

    Args:
        sink: called with every buffer that was hashed, in order: a copy that is written from them has the digests of
            the shard, whatever happens to the file.
    """
    job = _Job([file], parameters, whole, progress, inspect, None, sink)
    _run(job, _plan(job, 1), 1)
    (shard,) = job.shards
    assert shard is not None
    return shard


class _Stopped(Exception):
    """Another thread failed, or the user wants to stop."""


class _Job:
    """What the threads share."""

    def __init__(
        self,
        files: Sequence[File],
        parameters: Parameters,
        whole: bool,
        progress: Progress | None,
        inspect: Inspect | None,
        finished: Finished | None,
        sink: Callable[[memoryview], object] | None = None,
    ) -> None:
        self.files = files
        self.chunk = parameters.chunk_size
        self.digest = chunks_hasher(parameters.chunk_hash)
        self.sha256_chunks = parameters.chunk_hash == "sha256"
        self.whole = whole
        self.progress = progress
        self.inspect = inspect
        self.finished = finished
        self.sink = sink
        self.shards: list[Shard | None] = [None] * len(files)
        self.stopped = False
        self.error: BaseException | None = None

    def make(self, index: int, chunks: bytes, sha256: bytes) -> None:
        file = self.files[index]
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
            raise _Stopped


class _Hands:
    """What one thread has for itself: open folders and a buffer."""

    def __init__(self, job: _Job) -> None:
        self._folders: dict[str, Below] = {}
        self.span = max(job.chunk, BUFFER)  # powers of two: a multiple of the chunk
        largest = max((file.size for file in job.files), default=0)
        self.view = memoryview(bytearray(min(self.span, largest)))

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


_Task = Callable[[_Hands], None]


def _plan(job: _Job, workers: int) -> deque[_Task]:
    """The tasks, in the order in which they are to be taken."""
    tiny = [i for i, file in enumerate(job.files) if file.size <= min(TINY, job.chunk)]
    small = [i for i, file in enumerate(job.files) if TINY < file.size <= job.chunk]
    large = sorted((i for i, file in enumerate(job.files) if file.size > job.chunk), key=lambda i: -job.files[i].size)
    total = sum(file.size for file in job.files)
    tasks: deque[_Task] = deque()
    if tiny:
        tasks.append(_batch(job, tiny))  # first: it may be the longest, and nobody can help
    for index in large:
        size = job.files[index].size
        if not job.whole:
            tasks.extend(_Parts(job, index, workers).tasks())
        elif workers > 1 and size * workers > total:
            tasks.extend(_Pipe(job, index).tasks())
        else:
            tasks.append(_whole(job, index))
    batch: list[int] = []
    held = 0
    for index in small:
        batch.append(index)
        held += job.files[index].size
        if held >= BATCH:
            tasks.append(_batch(job, batch))
            batch, held = [], 0
    if batch:
        tasks.append(_batch(job, batch))
    return tasks


def _run(job: _Job, tasks: deque[_Task], workers: int) -> None:
    """Takes tasks in this thread and ``workers - 1`` others until there are none; a failure stops them all."""

    def work() -> None:
        hands = _Hands(job)
        try:
            while not job.stopped:
                try:
                    task = tasks.popleft()
                except IndexError:
                    return
                task(hands)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            job.error = job.error or error
            job.stopped = True
        finally:
            hands.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers - 1)]
    try:
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    finally:
        job.stopped = True  # also when Ctrl-C comes while the others are waited for
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    if job.error is not None:
        raise job.error


def _fill(descriptor: int, view: memoryview, offset: int, path: str) -> None:
    """Reads exactly ``view``: short reads must not move chunk borders."""
    got = 0
    try:
        while got < len(view):
            more = os.preadv(descriptor, [view[got:] if got else view], offset + got)
            if not more:
                raise changed(path)
            got += more
    except OSError as error:
        raise unreadable(path, error) from None


def _read(
    job: _Job, hands: _Hands, index: int, start: int, end: int, full: Callable[[memoryview], object] | None
) -> tuple[bytes, Identity]:
    """The chunk digests of a range of a large file, and the identity that it kept; ``full`` is given the bytes too."""
    file = job.files[index]
    found: list[bytes] = []
    descriptor = hands.open(file)
    try:
        before = opened(descriptor, file.path, file.size, file.identity)
        for offset in range(start, end, hands.span):
            view = hands.view[: min(hands.span, end - offset)]
            _fill(descriptor, view, offset, file.path)
            job.read(file, view, first=offset == 0)
            found.append(job.digest(view, job.chunk))
            if full:
                full(view)
        if identity_of(os.fstat(descriptor)) != before:
            raise changed(file.path)
    finally:
        os.close(descriptor)
    return b"".join(found), before


def _whole(job: _Job, index: int) -> _Task:
    def task(hands: _Hands) -> None:
        full = hashlib.sha256()
        chunks, _ = _read(job, hands, index, 0, job.files[index].size, full.update)
        job.make(index, chunks, full.digest())

    return task


def _batch(job: _Job, batch: Sequence[int]) -> _Task:
    def task(hands: _Hands) -> None:
        for index in batch:
            _small(job, hands, index)

    return task


def _small(job: _Job, hands: _Hands, index: int) -> None:
    """A file of at most one chunk."""
    file = job.files[index]
    view = hands.view[: file.size]
    descriptor = hands.open(file)
    try:
        before = opened(descriptor, file.path, file.size, file.identity)
        _fill(descriptor, view, 0, file.path)
        job.read(file, view, first=True)
        if identity_of(os.fstat(descriptor)) != before:
            raise changed(file.path)
    finally:
        os.close(descriptor)
    chunks = job.digest(view, job.chunk)
    if job.sha256_chunks and chunks:
        sha256 = chunks
    else:
        sha256 = hashlib.sha256(view).digest() if job.whole or job.sha256_chunks else b""
    job.make(index, chunks, sha256)


class _Parts:
    """A large file of which only chunk digests are wanted, cut into ranges."""

    def __init__(self, job: _Job, index: int, workers: int) -> None:
        self._job, self._index = job, index
        size = job.files[index].size
        length = max(PART, job.chunk) if workers > 1 else size
        self._ranges = [(start, min(start + length, size)) for start in range(0, size, length)]
        self._found: list[bytes] = [b""] * len(self._ranges)
        self._identities: set[Identity] = set()
        self._left = len(self._ranges)
        self._lock = threading.Lock()

    def tasks(self) -> Iterator[_Task]:
        for number in range(len(self._ranges)):
            yield self._part(number)

    def _part(self, number: int) -> _Task:
        def task(hands: _Hands) -> None:
            start, end = self._ranges[number]
            self._found[number], identity = _read(self._job, hands, self._index, start, end, None)
            with self._lock:
                self._identities.add(identity)
                self._left -= 1
                last = not self._left
            if last:
                if len(self._identities) != 1:
                    raise changed(self._job.files[self._index].path)
                self._job.make(self._index, b"".join(self._found), b"")

        return task


class _Pipe:
    """A large file whose two digests are made by two threads from the same buffers.

    Chunk i lies in buffer i modulo `SLOTS`; a buffer is filled again when its chunk has a digest.
    """

    def __init__(self, job: _Job, index: int) -> None:
        self._job, self._index = job, index
        self._file = job.files[index]
        count = -(-self._file.size // job.chunk)
        self._digests: list[bytes | None] = [None] * count
        self._slots: list[memoryview] = []
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self._moved = threading.Condition()
        self._ended = False

    def tasks(self) -> tuple[_Task, _Task]:
        return self._own, self._help

    def _own(self, hands: _Hands) -> None:
        try:
            self._hash(hands)
        finally:
            with self._moved:
                self._ended = True
                self._moved.notify_all()

    def _hash(self, hands: _Hands) -> None:
        job, file = self._job, self._file
        self._slots = [memoryview(bytearray(job.chunk)) for _ in range(SLOTS)]
        full = hashlib.sha256()
        descriptor = hands.open(file)
        try:
            before = opened(descriptor, file.path, file.size, file.identity)
            for number in range(len(self._digests)):
                if number >= SLOTS:
                    self._settle(number - SLOTS)
                offset = number * job.chunk
                view = self._slots[number % SLOTS][: min(job.chunk, file.size - offset)]
                _fill(descriptor, view, offset, file.path)
                job.read(file, view, first=number == 0)
                with self._moved:
                    self._waiting.append((number, view))
                    self._moved.notify_all()
                full.update(view)
            if identity_of(os.fstat(descriptor)) != before:
                raise changed(file.path)
        finally:
            os.close(descriptor)
        for number in range(max(0, len(self._digests) - SLOTS), len(self._digests)):
            self._settle(number)
        self._slots = []
        job.make(self._index, b"".join(d for d in self._digests if d is not None), full.digest())

    def _settle(self, number: int) -> None:
        """Returns when chunk ``number`` has its digest; makes what the helper did not take yet."""
        while self._digests[number] is None:
            if not self._digest_one():
                with self._moved:
                    if self._digests[number] is None and not self._waiting:
                        self._moved.wait(0.1)  # a time-out, because a helper that was stopped tells nobody
            if self._job.stopped:
                raise _Stopped

    def _help(self, _hands: _Hands) -> None:
        while not self._job.stopped:
            if self._digest_one():
                continue
            with self._moved:
                if self._ended:
                    return
                if not self._waiting:
                    self._moved.wait(0.1)

    def _digest_one(self) -> bool:
        try:
            number, view = self._waiting.popleft()
        except IndexError:
            return False
        self._digests[number] = self._job.digest(view, self._job.chunk)
        with self._moved:
            self._moved.notify_all()
        return True


def _processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
