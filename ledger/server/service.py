"""What one worker's routes share: the log, its resources, and the guards before them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from hashlib import sha256
from typing import Final

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.log import Log
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.server import limits
from dataseal.ledger.server.appender import Appender
from dataseal.ledger.server.body import Budget
from dataseal.ledger.server.metrics import Metrics
from dataseal.ledger.server.ratelimit import Limiter
from dataseal.ledger.server.settings import Settings
from dataseal.ledger.witness.answer import plain

logger = logging.getLogger("dataseal.server")

READY_SECONDS: Final = 1.0
"""For so long an answer about readiness holds: asking takes the write lock."""


class Service:
    """One worker.

    Args:
        log: opened for writing. settings: how to behave.
    """

    def __init__(self, log: Log, settings: Settings) -> None:
        self.log = log
        self.settings = settings
        self.resources = StoreResources(log.store, log.origin, log.publishable)
        self.files = Files(self.resources)
        self.metrics = Metrics(self.size, self.held)
        self.appender = Appender(log, on_group=self.metrics.groups.observe)
        self.budget = Budget(limits.BODY_BUDGET)
        self.limiter = Limiter(
            rate=settings.rate,
            burst=settings.burst,
            total_rate=settings.total_rate,
            total_burst=settings.total_burst,
            clock=time.monotonic,
        )
        self.draining = False
        """Set when the server is told to stop: no further post is taken."""
        self.asking = asyncio.Lock()
        self._ready: tuple[float, str | None] | None = None

    def size(self) -> int:
        """Entries under the checkpoint that is served."""
        with self.log.store.view() as view:
            return self.log.publishable(view).size

    def held(self) -> int:
        """Entries that are logged, those too whose checkpoint waits for witnesses."""
        with self.log.store.view() as view:
            return view.head().size

    def witness(self) -> None:
        """Asks the log's witnesses about a checkpoint that is not served yet; what they refuse, the journal tells."""
        try:
            if self.size() < self.held():
                self.log.witness()
        except DatasealError as error:
            logger.warning("not served yet: %s: %s", type(error).__name__, plain(str(error)))

    def unready(self) -> str | None:
        """Why no post could be logged now; None when one could. It asks the store at most once a second."""
        if self._ready is None or time.monotonic() - self._ready[0] > READY_SECONDS:
            try:
                reason = self._judge()
            except DatasealError as error:
                logger.warning("not ready: %s: %s", type(error).__name__, error)
                reason = "the store can't be written"
            self._ready = (time.monotonic(), reason)
        return self._ready[1]

    def _judge(self) -> str | None:
        with self.log.store.appending() as view:  # only who could write gets in
            size, signed = view.head().size, view.head().note is not None
        if size and not signed:
            self.log.sign()  # a crash left it unsigned, or another worker is just about to sign it
        return None if self.appender.alive else "posts are not being taken"


class File:
    """A resource's bytes with its ETag, and its bytes compressed once somebody asked for them."""

    __slots__ = ("compressed", "data", "etag")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag = sha256(data).hexdigest()[:32]
        self.compressed: bytes | None = None


class Files:
    """Tiles and bundles, which never change: the ones read last stay in memory, up to `CACHE_BYTES`."""

    def __init__(self, resources: StoreResources) -> None:
        self._resources = resources
        self._kept: OrderedDict[str, tuple[File, int]] = OrderedDict()
        self._bytes = 0

    def kept(self, path: str) -> File | None:
        """A resource that is in memory."""
        if path not in self._kept:
            return None
        self._kept.move_to_end(path)
        return self._kept[path][0]

    def read(self, path: str) -> File | None:
        """A resource from the store; None when there is none. For a thread: it changes nothing here."""
        data = self._resources.read(path)
        return None if data is None else File(data)

    def keep(self, path: str, file: File) -> None:
        """Keeps a resource in memory, at its present size."""
        self._drop(path)
        size = len(file.data) + len(file.compressed or b"")
        if size > limits.CACHE_BYTES // 4:
            return
        self._kept[path] = (file, size)
        self._bytes += size
        while self._bytes > limits.CACHE_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, path: str) -> None:
        _, size = self._kept.pop(path, (None, 0))
        self._bytes -= size
