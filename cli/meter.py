"""The progress line: what is done, of how much, at what rate, and the time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from dataseal.ledger.hashing import Meter

INTERVAL: Final = 0.1
"""Seconds between two looks of the line: it is told of every file, and a redraw costs as much as hashing one."""


class Bar(Meter):
    """Adds up what it is told, from any thread, and tells the line from time to time.

    Args:
        update: is given the sum so far and the total, None while nobody knows it.
    """

    def __init__(self, update: Callable[[int, int | None], object]) -> None:
        self._update = update
        self._lock = threading.Lock()
        self._done = 0
        self._total: int | None = None
        self._told = 0.0

    def expect(self, amount: int) -> None:
        """So much more is to come."""
        with self._lock:
            self._total = (self._total or 0) + amount
        self.tell()

    def __call__(self, amount: int) -> None:
        """So much more is done."""
        with self._lock:
            self._done += amount
            now = time.monotonic()
            if now - self._told < INTERVAL:
                return
            self._told = now
        self.tell()

    def tell(self) -> None:
        """Brings the line up to date."""
        self._update(self._done, self._total)


@contextmanager
def bar(what: str, unit: str) -> Iterator[Bar]:
    """A progress line on stderr that goes away at the end."""
    from rich.console import Console
    from rich.progress import (
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from dataseal.cli.render import safe

    # markup=False: a folder's name is not rich's markup.
    columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
    columns += [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as shown:
        task: Any = shown.add_task(safe(what), total=None)
        line = Bar(lambda done, total: shown.update(task, completed=done, total=total))
        yield line
        line.tell()
