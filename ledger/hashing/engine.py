"""Hashes files into shards: one read of every byte, threads over files and over the chunks of a huge one.

The work is cut beforehand into tasks, biggest files first, that any thread may take; whatever the cut and the order,
the shards are the same:

- *the tiny files*, all of them for one thread: between two threads the GIL would change hands at each of a file's
  five system calls, which costs more than the second processor gives (measured: up to 128 KiB);
- *a batch of small files* (up to 256 KiB): each is read with one call into one buffer that is used again;
- *a part of a file*, when only chunk digests are wanted: chunks are independent, so that parts are too. Each part opens
  the file for itself, and all of them must see the same file;
- *a whole file*, when its SHA-256 is wanted too: that is sequential, so one thread reads, and both digests are made
  from the same buffer;
- *a piped file*, a whole file so large that one thread with it would be the last to end: the thread that reads makes
  the SHA-256 and hands the buffers to a helper for the chunk digests. When no helper comes, it does them itself;
- *a grown file*, of which a shorter state is known: the SHA-256 is made over all of it, and when it passes the old end
  with the old digest, the bytes before are proven to be the old ones. Only the chunks behind that are hashed alone.

hashlib releases the GIL. Memory is bounded: a buffer of 256 KiB a thread, and three chunks for a piped file.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dataseal.ledger.hashing.job import BUFFER, Finished, Hands, Inspect, Job, Meter, Progress, Stopped
from dataseal.ledger.hashing.tasks import Parts, Pipe, Task, batch, grown_file, some_chunks, whole_file
from dataseal.ledger.hashing.walk import File
from dataseal.ledger.manifest import Parameters, Shard

TINY: Final = 128 * 1024
"""Bytes of the largest file that is not worth a second thread."""

BATCH: Final = 8 * 1024 * 1024
"""Bytes of a batch of small files: short enough that no thread is left alone with the last one."""

PICKS: Final = 16
"""Chunks of one file that are one task, when only some are wanted."""


def hash_files(
    files: Sequence[File],
    parameters: Parameters,
    *,
    whole: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
    inspect: Inspect | None = None,
    finished: Finished | None = None,
    shorter: Mapping[str, Shard] | None = None,
) -> list[Shard]:
    """Hashes files into shards, in the order given.

    Args:
        whole: compute the whole-file SHA-256 too (needed for signing). Without it `Shard.sha256` is empty, except
            that a file of one SHA-256 chunk gets it for free.
        jobs: threads; one a processor when None.
        shorter: shards that were hashed here when these files may have been shorter, by path. Nothing of them is
            believed before it is proven; it saves time when a file was appended to.

    Raises:
        IntegrityError: a file changed or vanished while it was read. Unavailable: a file can't be read.
    """
    if isinstance(progress, Meter):
        progress.expect(sum(file.size for file in files))
    job = Job(files, parameters, whole, progress, inspect, finished, shorter=shorter)
    workers = max(1, jobs or _processors())
    tasks = _plan(job, workers)
    _run(job, tasks, min(workers, len(tasks)))
    return job.all()


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
    job = Job([file], parameters, whole, progress, inspect, sink=sink)
    _run(job, _plan(job, 1), 1)
    return job.all()[0]


def hash_chunks(
    picks: Sequence[tuple[File, Sequence[int]]],
    parameters: Parameters,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> list[bytes]:
    """The digests of some chunks of each file, concatenated, in the order given; nothing else is read.

    Raises:
        IntegrityError: a file changed or vanished, or has no such chunk. Unavailable: a file can't be read.
    """
    job = Job([file for file, _ in picks], parameters, False, progress, None)
    found = [[b""] * len(numbers) for _, numbers in picks]
    tasks = deque(
        some_chunks(job, index, numbers[start : start + PICKS], found[index], start)
        for index, (_, numbers) in enumerate(picks)
        for start in range(0, len(numbers), PICKS)
    )
    if isinstance(progress, Meter):
        progress.expect(sum(job.length(i, number) for i, (_, numbers) in enumerate(picks) for number in numbers))
    _run(job, tasks, max(1, min(jobs or _processors(), len(tasks))))
    return [b"".join(digests) for digests in found]


def _plan(job: Job, workers: int) -> deque[Task]:
    """The tasks, in the order in which they are to be taken."""
    single = min(BUFFER, job.chunk)
    tiny: list[int] = []
    small: list[int] = []
    large: list[int] = []
    total = 0
    for index, (_, _, size, _) in enumerate(job.files):
        total += size
        (tiny if size <= min(TINY, single) else small if size <= single else large).append(index)
    large.sort(key=lambda i: -job.files[i].size)
    tasks: deque[Task] = deque()
    if tiny:
        tasks.append(batch(job, tiny))  # first: it may be the longest, and nobody can help
    for index in large:
        size = job.files[index].size
        if job.grown(index):
            tasks.append(grown_file(job, index))
        elif not job.whole:
            tasks.extend(Parts(job, index, workers).tasks())
        elif workers > 1 and size > job.chunk and size * workers > total:
            tasks.extend(Pipe(job, index).tasks())
        else:
            tasks.append(whole_file(job, index))
    held: list[int] = []
    for index in small:
        held.append(index)
        if sum(job.files[i].size for i in held) >= BATCH:
            tasks.append(batch(job, held))
            held = []
    if held:
        tasks.append(batch(job, held))
    return tasks


def _run(job: Job, tasks: deque[Task], workers: int) -> None:
    """Takes tasks in this thread and ``workers - 1`` others until there are none; a failure stops them all."""

    def work() -> None:
        hands = Hands(job)
        try:
            while not job.stopped:
                try:
                    task = tasks.popleft()
                except IndexError:
                    return
                task(hands)
        except Stopped:
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


def _processors() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
