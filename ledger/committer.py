"""Group commit: threads that append at the same time share one transaction.

A thread queues its request and waits for its turn to write. Whoever gets it takes what is queued, within bounds, and
commits it for all; the others find their requests done. There is no thread of its own and no waiting for company: while
one transaction is on its way to the disk, the next one's requests gather. Each request gets its own result or error.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from dataseal.ledger.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

MAX_ENTRIES: Final = 4096
"""Entries of one transaction: some 8 MiB, committed in a fraction of a second; others wait for the lock meanwhile."""

MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of one transaction, which are in memory more than once; a request larger than that is committed alone."""


@dataclass(slots=True, eq=False)
class Request(Generic[T, R]):
    """Items of one caller that are appended all or none, and what became of them."""

    items: Sequence[T]
    bytes: int
    result: R | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def succeed(self, result: R) -> None:
        """The items are appended."""
        self.result = result

    def fail(self, error: BaseException) -> None:
        """They are not."""
        self.error = error


class Committer(Generic[T, R]):
    """Hands requests to ``commit`` in groups, one group at a time.

    Args:
        commit: appends requests, and calls `Request.succeed` or `Request.fail` on each. What it raises fails all that
            it did not get to.
    """

    def __init__(self, commit: Callable[[Sequence[Request[T, R]]], None]) -> None:
        self._commit = commit
        self._queue: deque[Request[T, R]] = deque()
        self._turn = threading.Lock()

    def submit(self, items: Sequence[T], size: int) -> R:
        """Appends ``items`` of ``size`` bytes, together with what other threads submit.

        Raises:
            Whatever the request failed with.
        """
        request: Request[T, R] = Request(items, size)
        self._queue.append(request)
        while not request.done.is_set():
            with self._turn:
                if not request.done.is_set():
                    self._lead()
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def _lead(self) -> None:
        group = self._take()
        try:
            self._commit(group)
        except BaseException as error:
            # Another thread's interrupt is none of theirs; an error of the transaction is everybody's.
            told = error if isinstance(error, Exception) else Unavailable(_INTERRUPTED, hint="run the command again")
            for request in group:
                if request.result is None and request.error is None:
                    request.fail(told)
            if not isinstance(error, Exception):
                raise
        finally:
            for request in group:
                request.done.set()

    def _take(self) -> list[Request[T, R]]:
        group = [self._queue.popleft()]
        entries, size = len(group[0].items), group[0].bytes
        while self._queue:
            entries += len(self._queue[0].items)
            size += self._queue[0].bytes
            if entries > MAX_ENTRIES or size > MAX_BYTES:
                break
            group.append(self._queue.popleft())
        return group


_INTERRUPTED: Final = "the append was interrupted; whether the entry is logged, is not known"
