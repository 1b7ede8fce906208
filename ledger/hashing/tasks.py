"""The pieces of work that a run is cut into; `dataseal.ledger.hashing.engine` says when which is used."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from dataseal.ledger.digest import SIZE
from dataseal.ledger.hashing.job import Hands, Job, Stopped, aligned, fill, read
from dataseal.ledger.hashing.opening import Identity, changed, identity_of, opened

PART: Final = 32 * 1024 * 1024
"""Bytes of a part, at least: long enough that opening the file again does not count."""

SLOTS: Final = 3
"""Buffers of a piped file: one that is filled and hashed, one with the helper, one between them."""


Task = Callable[[Hands], None]


def whole_file(job: Job, index: int) -> Task:
    def task(hands: Hands) -> None:
        full = hashlib.sha256()
        free = job.sha256_chunks and job.files[index].size <= job.chunk
        chunks, _ = read(job, hands, index, 0, job.files[index].size, None if free else full.update)
        job.make(index, chunks, full.digest())

    return task


def grown_file(job: Job, index: int) -> Task:
    """One that was appended to, as far as known: a shard is proven to be its beginning, or is not used."""

    def task(hands: Hands) -> None:
        old = job.grown(index)
        assert old is not None
        full = hashlib.sha256()
        kept = old.size - old.size % job.chunk  # the old last chunk may have been shorter: it is hashed again
        left, proven = old.size, False

        def update(view: memoryview) -> None:
            nonlocal left, proven
            if 0 < left <= len(view):
                full.update(view[:left])
                proven = full.digest() == old.sha256
                full.update(view[left:])
            else:
                full.update(view)
            left -= len(view)

        chunks, _ = read(job, hands, index, 0, job.files[index].size, update, skip=kept)
        if proven:
            job.make(index, old.chunks[: kept // job.chunk * SIZE] + chunks, full.digest())
        else:
            whole_file(job, index)(hands)

    return task


def some_chunks(job: Job, index: int, numbers: Sequence[int], found: list[bytes], place: int) -> Task:
    """Some chunks of a file, whose digests go into ``found`` from ``place``."""

    def task(hands: Hands) -> None:
        file = job.files[index]
        for position, number in enumerate(numbers, place):
            start = number * job.chunk
            if not 0 <= start < file.size:
                raise changed(file.path)
            found[position], _ = read(job, hands, index, start, start + job.length(index, number), None)

    return task


def batch(job: Job, batch: Sequence[int]) -> Task:
    """Files of at most one chunk and one buffer. There may be a million: what can be left out of a turn is."""

    def task(hands: Hands) -> None:
        inspect, rest, view = job.inspect, job.sink or job.progress, hands.view
        sha256, fstat, close = hashlib.sha256, os.fstat, os.close
        for index in batch:
            file = job.files[index]
            path, _, size, walked = file
            if len(view) != size:
                view = hands.view[:size]
            descriptor = hands.open(file)
            try:
                before = walked if walked and walked[2] == size else opened(descriptor, path, size, walked)
                fill(descriptor, view, 0, path)
                if inspect:
                    inspect(file, view)
                if rest:
                    job.read(file, view, first=False)
                if job.stopped:
                    raise Stopped
                now = fstat(descriptor)
                if (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns) != before:
                    raise changed(path)
            finally:
                close(descriptor)
            if job.sha256_chunks:
                digest = sha256(view).digest()
                job.make(index, digest if size else b"", digest)
            else:
                job.make(index, job.digest(view, job.chunk), sha256(view).digest() if job.whole else b"")

    return task


class Parts:
    """A large file of which only chunk digests are wanted, cut into ranges."""

    def __init__(self, job: Job, index: int, workers: int) -> None:
        self._job, self._index = job, index
        size = job.files[index].size
        length = max(PART, job.chunk) if workers > 1 else size
        self._ranges = [(start, min(start + length, size)) for start in range(0, size, length)]
        self._found: list[bytes] = [b""] * len(self._ranges)
        self._identities: set[Identity] = set()
        self._left = len(self._ranges)
        self._lock = threading.Lock()

    def tasks(self) -> Iterator[Task]:
        for number in range(len(self._ranges)):
            yield self._part(number)

    def _part(self, number: int) -> Task:
        def task(hands: Hands) -> None:
            start, end = self._ranges[number]
            self._found[number], identity = read(self._job, hands, self._index, start, end, None)
            with self._lock:
                self._identities.add(identity)
                self._left -= 1
                last = not self._left
            if last:
                if len(self._identities) != 1:
                    raise changed(self._job.files[self._index].path)
                self._job.make(self._index, b"".join(self._found), b"")

        return task


class Pipe:
    """A large file whose two digests are made by two threads from the same buffers.

    Chunk i lies in buffer i modulo `SLOTS`; a buffer is filled again when its chunk has a digest.
    """

    def __init__(self, job: Job, index: int) -> None:
        self._job, self._index = job, index
        self._file = job.files[index]
        count = -(-self._file.size // job.chunk)
        self._digests: list[bytes | None] = [None] * count
        self._slots: list[memoryview] = []
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self._moved = threading.Condition()
        self._ended = False

    def tasks(self) -> tuple[Task, Task]:
        return self._own, self._help

    def _own(self, hands: Hands) -> None:
        try:
            self._hash(hands)
        finally:
            with self._moved:
                self._ended = True
                self._moved.notify_all()

    def _hash(self, hands: Hands) -> None:
        job, file = self._job, self._file
        self._slots = [aligned(job.chunk) for _ in range(SLOTS)]
        full = hashlib.sha256()
        descriptor = hands.open(file)
        try:
            before = opened(descriptor, file.path, file.size, file.identity)
            for number in range(len(self._digests)):
                if number >= SLOTS:
                    self._settle(number - SLOTS)
                offset = number * job.chunk
                view = self._slots[number % SLOTS][: min(job.chunk, file.size - offset)]
                fill(descriptor, view, offset, file.path)
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
                raise Stopped

    def _help(self, _hands: Hands) -> None:
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
