"""The size that each witness named last, so that most requests pass at once.

A hint and no more: a wrong one costs one request, hence a file that is missing or damaged is an empty one, and one
that can't be written is no error. One JSON object, key ``<witness's key name>+<key ID> <origin>``::

    {"witness.example/w1+b5e7c468 dataseal.invalid/0123456789abcdef": 3}
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from dataseal.ledger.tlog.limits import MAX_TREE_SIZE

_MAX_BYTES: Final = 1024 * 1024


class Sizes(Protocol):
    """Where the sizes are kept: a file, or a table of the store."""

    def load(self) -> dict[str, int]:
        """What is known; empty when nothing is."""

    def save(self, sizes: dict[str, int]) -> None:
        """Keeps these; they replace what was known of the same keys."""


class MemorySizes:
    """Sizes that are forgotten with the process."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def load(self) -> dict[str, int]:
        """What is known."""
        return dict(self._known)

    def save(self, sizes: dict[str, int]) -> None:
        """Keeps these."""
        self._known.update(sizes)


class SizeFile:
    """Sizes in a file beside the ledger, replaced by rename."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, int]:
        """What is known; empty when the file is missing or no such file."""
        try:
            with self._path.open("rb") as stream:
                found = json.loads(stream.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {key: size for key, size in found.items() if type(size) is int and 0 <= size <= MAX_TREE_SIZE}

    def save(self, sizes: dict[str, int]) -> None:
        """Adds these to the file."""
        merged = self.load() | sizes
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(merged, sort_keys=True, indent=1) + "\n", encoding="utf-8")
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
