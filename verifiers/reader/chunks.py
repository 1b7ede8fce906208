"""Fetch, check, keep: the only way from a target's bytes to a caller.

A chunk is fetched whole and hashed in the memory that is handed out or copied from. Checked chunks are kept within a
bound of bytes (but at least one), least recently used first out, and shared by all open files of a dataset; threads
that want the same chunk fetch it once. A wide read (`WIDE` missing chunks or more) goes straight into one buffer, and
only the chunks that it cuts through are kept, since the next read begins there.

Memory: the bound, the buffers of the reads that run, and what callers hold on to.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from dataseal.ledger.digest import chunk_hasher
from dataseal.ledger.manifest import Manifest, Shard
from dataseal.verifiers.reader.errors import ChunkInvalid
from dataseal.verifiers.reader.targets import Target

CACHE_BYTES: Final = 16 * 1024 * 1024
"""Of checked chunks, for a dataset, unless its opener says another bound."""

WIDE: Final = 2
AHEAD: Final = 4
"""Chunks that are fetched before they are asked for, where a file is read from front to back."""

_PROCESSORS: Final = len(os.sched_getaffinity(0))
_WORKERS: Final = 8
"""Requests that run side by side; hashing takes no more threads than there are processors anyway."""

Key = tuple[int, int]
Report = Callable[[int, int, int], None]
"""Told shard number, first and last chunk of what is handed out."""


@dataclass(slots=True)
class Statistics:
    """What was done so far: chunks and bytes that were fetched and checked, and chunks found in the cache."""

    chunks: int = 0
    bytes: int = 0
    hits: int = 0


class Chunks:
    """The checked bytes of one dataset. Threads may share it; after a fork the child starts with an empty one."""

    def __init__(
        self, manifest: Manifest, target: Target, *, cache_bytes: int = CACHE_BYTES, report: Report | None = None
    ) -> None:
        self._size = manifest.parameters.chunk_size
        self._hash_name = manifest.parameters.chunk_hash
        self._digest = chunk_hasher(self._hash_name)
        self._target = target
        self._bound = cache_bytes
        self._report = report
        self.ahead = min(AHEAD if target.request else 1, cache_bytes // (2 * self._size))
        self._reset()
        _ALL.add(self)

    def _reset(self) -> None:
        """Locks and futures of threads that a fork did not copy would never be released."""
        self.statistics = Statistics()
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, memoryview] = OrderedDict()
        self._kept_bytes = 0
        self._coming: dict[Key, Future[memoryview]] = {}

    def read(self, number: int, shard: Shard, start: int, stop: int) -> memoryview:
        """The bytes ``start`` to ``stop`` of a shard, checked; a read-only view, perhaps of a kept chunk.

        Args:
            number: the shard's place in the table. start, stop: within its size, start below stop.

        Raises:
            ChunkInvalid: a chunk in the range is not what was signed. TargetUnavailable: it can't be fetched.
        """
        first, last = start // self._size, (stop - 1) // self._size
        if last > first and self._missing(number, first, last) >= WIDE:
            view = self._wide(number, shard, start, stop)
        else:
            pieces = self._narrow(number, shard, range(first, last + 1))
            skip = start - first * self._size
            if first == last:
                view = pieces[0][skip : skip + stop - start]
            else:
                pieces[0] = pieces[0][skip:]
                view = memoryview(b"".join(pieces))[: stop - start]
        if self._report is not None:
            self._report(number, first, last)
        return view

    def prefetch(self, number: int, shard: Shard, index: int) -> None:
        """Begins to fetch `ahead` chunks from ``index`` on; what goes wrong is for whoever reads them."""
        for at in range(index, min(index + self.ahead, shard.chunk_count)):
            with self._lock:
                if (number, at) in self._kept or (number, at) in self._coming:
                    continue
                self._coming[number, at] = future = Future[memoryview]()
            try:
                _pool().submit(self._settle, number, shard, at, future)
            except RuntimeError:  # the interpreter is going down
                with self._lock:
                    self._coming.pop((number, at), None)
                future.cancel()
                return

    def clear(self) -> None:
        """Lets all kept chunks go."""
        with self._lock:
            self._kept.clear()
            self._kept_bytes = 0

    # One chunk at a time, kept

    def _narrow(self, number: int, shard: Shard, indexes: range) -> list[memoryview]:
        found: dict[int, memoryview | Future[memoryview]] = {}
        ours: list[tuple[int, Future[memoryview]]] = []
        with self._lock:
            for at in indexes:
                key = (number, at)
                if key in self._kept:
                    self._kept.move_to_end(key)
                    self.statistics.hits += 1
                    found[at] = self._kept[key]
                elif key in self._coming:
                    found[at] = self._coming[key]
                else:
                    self._coming[key] = found[at] = future = Future[memoryview]()
                    ours.append((at, future))
        jobs = [partial(self._settle, number, shard, at, future) for at, future in ours]
        try:
            _side_by_side(jobs)
        except BaseException as error:  # an interrupt: nobody may wait for what will not come
            self._abandon(number, ours, error)
            raise
        return [item.result() if isinstance(item, Future) else item for item in (found[at] for at in indexes)]

    def _abandon(self, number: int, ours: list[tuple[int, Future[memoryview]]], error: BaseException) -> None:
        with self._lock:
            for at, _ in ours:
                self._coming.pop((number, at), None)
        for _, future in ours:
            with suppress(InvalidStateError):
                future.set_exception(error)

    def _settle(self, number: int, shard: Shard, index: int, future: Future[memoryview]) -> None:
        """Fetches, checks and keeps one chunk, and tells those who wait for it."""
        key = (number, index)
        try:
            view = self._fetch(shard, index, index)
        except BaseException as error:  # noqa: BLE001  it is raised in the threads that wait
            with self._lock:
                self._coming.pop(key, None)
            with suppress(InvalidStateError):
                future.set_exception(error)
            return
        with self._lock:
            self._keep(key, view)
            self._coming.pop(key, None)
        with suppress(InvalidStateError):
            future.set_result(view)

    def _keep(self, key: Key, view: memoryview) -> None:
        if key in self._kept:
            return
        self._kept[key] = view
        self._kept_bytes += len(view)
        while self._kept_bytes > self._bound and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= len(old)

    # Many chunks at once, into one buffer

    def _missing(self, number: int, first: int, last: int) -> int:
        with self._lock:
            return sum(
                (number, at) not in self._kept and (number, at) not in self._coming for at in range(first, last + 1)
            )

    def _wide(self, number: int, shard: Shard, start: int, stop: int) -> memoryview:
        """What is kept, or comes, is copied, as far as it is wanted; the others are read whole, side by side."""
        first, last = start // self._size, (stop - 1) // self._size
        kept: dict[int, memoryview | Future[memoryview]] = {}
        with self._lock:
            for at in range(first, last + 1):
                found = self._kept.get((number, at)) or self._coming.get((number, at))
                if found is not None:
                    kept[at] = found
            self.statistics.hits += len(kept)
        base = start if first in kept else first * self._size
        end = stop if last in kept else min((last + 1) * self._size, shard.size)
        whole = memoryview(bytearray(end - base))
        jobs = []
        for at, to in self._runs([at for at in range(first, last + 1) if at not in kept]):
            part = whole[at * self._size - base : min((to + 1) * self._size, shard.size) - base]
            jobs.append(partial(self._fetch, shard, at, to, part))
        _side_by_side(jobs)
        for at, found in kept.items():
            piece = found.result() if isinstance(found, Future) else found
            begin = max(base, at * self._size)
            part = piece[begin - at * self._size : end - at * self._size]
            whole[begin - base : begin - base + len(part)] = part
        view = whole.toreadonly()
        with self._lock:
            if base < start:
                self._keep((number, first), memoryview(bytes(view[: self._size])))
            if stop < end:
                self._keep((number, last), memoryview(bytes(view[last * self._size - base :])))
        return view[start - base : stop - base]

    def _runs(self, missing: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Adjacent chunks that one request gets, first and last."""
        if not missing:
            return
        # Where requests cost nothing, each processor gets a share.
        most = max(1, self._target.request // self._size) if self._target.request else -(-len(missing) // _PROCESSORS)
        begin = previous = missing[0]
        for at in missing[1:]:
            if at != previous + 1 or at - begin >= most:
                yield begin, previous
                begin = at
            previous = at
        yield begin, previous

    def _fetch(self, shard: Shard, first: int, last: int, view: memoryview | None = None) -> memoryview:
        """Chunks ``first`` to ``last``, in ``view`` or a new buffer; all are checked before any is returned."""
        start, stop = first * self._size, min((last + 1) * self._size, shard.size)
        if view is None:
            view = memoryview(bytearray(stop - start))
        try:
            got = self._target.read_into(shard.path, start, view)
        except FileNotFoundError:
            raise ChunkInvalid("the shard is missing", shard=shard.path, start=start, stop=stop) from None
        for at in range(first, last + 1):
            begin, end = at * self._size, min((at + 1) * self._size, shard.size)
            if end - start > got:
                raise ChunkInvalid(
                    f"the shard ends at byte {start + got:,} or before, and {shard.size:,} bytes were signed",
                    shard=shard.path,
                    start=begin,
                    stop=end,
                )
            found = self._digest(view[begin - start : end - start])
            if found != shard.chunk(at):
                raise ChunkInvalid(
                    f"the chunk is not what was signed: its {self._hash_name} is {found.hex()}, "
                    f"expected {shard.chunk(at).hex()}",
                    shard=shard.path,
                    start=begin,
                    stop=end,
                )
        with self._lock:
            self.statistics.chunks += last - first + 1
            self.statistics.bytes += stop - start
        return view.toreadonly()


def _side_by_side(jobs: Sequence[Callable[[], object]]) -> None:
    """Runs jobs in the pool and in this thread, which takes what no other thread began: it never only waits.

    Raises:
        The first job's exception, when all have ended.
    """
    if len(jobs) < 2:
        for job in jobs:
            job()
        return
    futures = [_pool().submit(job) for job in jobs[1:]]
    failed: BaseException | None = None
    try:
        jobs[0]()
    except BaseException as error:  # noqa: BLE001  raised below, when no thread writes into the buffer any more
        failed = error
    for job, future in zip(jobs[1:], futures, strict=True):
        try:
            if future.cancel():
                if failed is None:
                    job()
            else:
                future.result()
        except BaseException as error:  # noqa: BLE001  as above
            failed = failed or error
    if failed is not None:
        raise failed


_ALL: weakref.WeakSet[Chunks] = weakref.WeakSet()
_POOL: list[ThreadPoolExecutor] = []
_POOL_LOCK = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    if not _POOL:
        with _POOL_LOCK:
            if not _POOL:
                _POOL.append(ThreadPoolExecutor(_WORKERS, thread_name_prefix="dataseal-read"))
    return _POOL[0]


def _forked() -> None:
    """In a forked child: the pool's threads are gone."""
    global _POOL_LOCK
    _POOL_LOCK = threading.Lock()
    _POOL.clear()
    for chunks in list(_ALL):
        chunks._reset()


os.register_at_fork(after_in_child=_forked)
