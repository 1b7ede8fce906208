"""What a process says that it read: the gate's receipt tells it, as the process's word.

Each process appends to a file of its own in a folder that the gate made (``<pid>-<random>.reads``). The first line
names what was opened; each further one a shard's number in the table and the first and last chunk handed out::

    {"root":"4f5c0b2a9d1e7c3386e4aa10b7d2f9c5d8e6134702bbf1a9c0e57d3846af1b92","v":1}
    0 0 3
    2 17 17

Lines are appended whole, as soon as the bytes are handed out, so that a killed process has reported too. A range is
written again only if a chunk in it is new.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.digest import parse_hex
from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.ledger.manifest import Manifest
from dataseal.verifiers.reader.pin import Pin

SUFFIX: Final = ".reads"
MAX_FILES: Final = 4096
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of all reports together: some 5 million ranges. Who reports writes what it likes."""

_LINE = re.compile(rb"(0|[1-9][0-9]{0,9}) (0|[1-9][0-9]{0,11}) (0|[1-9][0-9]{0,11})\n\Z")
_BLOCK: Final = 1024 * 1024
"""Bytes of lines that are taken at a time; a line that stands there twice is looked at once."""


class Reads:
    """Reports the reads of this process. Threads may share it; a forked child begins a report of its own.

    Args:
        folder: where the report goes. pin: what is read.
    """

    def __init__(self, folder: str, pin: Pin) -> None:
        self._folder, self._root = folder, pin.root
        self._told: dict[int, int] = {}  # by shard: a bit for each chunk
        self._descriptor: int | None = None
        self._begin()
        _ALL.add(self)

    def _begin(self) -> None:
        """After a fork: the lock may be held by a thread that is not there, and the file is the parent's.

        What was told stays told: it stands in the parent's report.
        """
        self._lock = threading.Lock()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._size = None, 0

    def note(self, number: int, first: int, last: int) -> None:
        """Tells that the chunks ``first`` to ``last`` of a shard were handed out.

        Raises:
            Unavailable: it can't be written; a receipt that tells less than was read would be a wrong one.
        """
        read = ((1 << (last - first + 1)) - 1) << first
        with self._lock:
            told = self._told.get(number, 0)
            if not read & ~told:
                return
            try:
                self._append(b"%d %d %d\n" % (number, first, last))
            except OSError as error:
                raise Unavailable(
                    f"can't report what was read: {error.strerror}",
                    where=self._folder,
                    hint="the gate's folder is gone or full: run the command under its gate, with space for it",
                ) from None
            self._told[number] = told | read

    def _append(self, line: bytes) -> None:
        """All of it or nothing: half a line would spoil what is told after it."""
        if self._descriptor is None:
            path = os.path.join(self._folder, f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
            try:
                self._size = _write(descriptor, canonical.encode({"root": self._root, "v": 1}) + b"\n")
            except OSError:
                os.close(descriptor)
                os.unlink(path)
                raise
            self._descriptor = descriptor
        try:
            self._size += _write(self._descriptor, line)
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _write(descriptor: int, data: bytes) -> int:
    rest = data
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    return len(data)


_ALL: weakref.WeakSet[Reads] = weakref.WeakSet()


def _forked() -> None:
    """In a forked child."""
    for reads in list(_ALL):
        reads._begin()


os.register_at_fork(after_in_child=_forked)


@dataclass(frozen=True, slots=True)
class Reported:
    """What the processes of a run said that they read of one dataset: distinct chunks, their bytes, shards."""

    shards: int
    chunks: int
    bytes: int

    def json(self) -> dict[str, Any]:
        """For a receipt."""
        return {"shards": self.shards, "chunks": self.chunks, "bytes": self.bytes}


def collect(folder: Path, manifests: Mapping[str, Manifest], *, others: bool = False) -> dict[str, Reported]:
    """Reads all reports in ``folder``, strictly: one bad line spoils all of them.

    Args:
        manifests: by hexadecimal root. others: reports about other datasets may lie there too, and are left alone.

    Returns: what was reported, by root; a root that nobody read is not in it.

    Raises:
        FormatError: a report that is none, or that names what is not in the manifest. Unavailable: it can't be read.
    """
    found: dict[str, dict[int, _Spans]] = {}
    total = 0
    try:
        names = sorted(os.listdir(folder))
        if len(names) > MAX_FILES:
            raise FormatError(f"more than {MAX_FILES} reports", where=str(folder))
        for name in names:
            with open(os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                data = file.read(MAX_BYTES + 1 - total)
            total += len(data)
            if total > MAX_BYTES:
                raise FormatError(f"more than {MAX_BYTES:,} bytes of reports", where=str(folder))
            root, rest = _head(data, name)
            if root in manifests:
                _lines(rest, name, manifests[root], found.setdefault(root, {}))
            elif not others:
                raise FormatError("the report is not about a dataset of this run", where=name)
    except OSError as error:
        raise Unavailable(f"can't read what was reported: {error.strerror}", where=str(folder)) from None
    return {root: _summed(spans, manifests[root]) for root, spans in found.items() if spans}


class _Spans:
    """Ranges of one shard's chunks, merged now and then: who writes one a million times costs no million of them."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        self._most = 1024

    def add(self, first: int, last: int) -> None:
        self._ranges.append((first, last))
        if len(self._ranges) > self._most:
            self._most = max(1024, 2 * len(self.merged()))

    def merged(self) -> list[tuple[int, int]]:
        """Apart from each other, in order."""
        found: list[tuple[int, int]] = []
        for first, last in sorted(self._ranges):
            if found and first <= found[-1][1] + 1:
                found[-1] = (found[-1][0], max(last, found[-1][1]))
            else:
                found.append((first, last))
        self._ranges = found
        return found


def _head(data: bytes, name: str) -> tuple[str, bytes]:
    head, _, rest = data.partition(b"\n")
    value = canonical.decode_canonical(head, what="report", max_bytes=200)
    if not isinstance(value, dict) or set(value) != {"root", "v"} or value["v"] != 1:
        raise FormatError("the report's first line is none", where=name)
    return parse_hex(value["root"], field="root").hex(), rest


def _lines(rest: bytes, name: str, manifest: Manifest, found: dict[int, _Spans]) -> None:
    shards = manifest.shards
    if rest and not rest.endswith(b"\n"):
        raise FormatError("the report's last line is not whole", where=name)
    stream = io.BytesIO(rest)
    while block := stream.readlines(_BLOCK):
        for line in dict.fromkeys(block):
            match = _LINE.match(line)
            if not match:
                raise FormatError(f"the report has a line that is none: {line[:60]!r}", where=name)
            number, first, last = (int(group) for group in match.groups())
            if number >= len(shards) or not first <= last < shards[number].chunk_count:
                raise FormatError(f"the report names chunks that are not there: {line[:60]!r}", where=name)
            found.setdefault(number, _Spans()).add(first, last)


def _summed(spans: Mapping[int, _Spans], manifest: Manifest) -> Reported:
    size = manifest.parameters.chunk_size
    chunks = total = 0
    for number, one in spans.items():
        for first, last in one.merged():
            chunks += last - first + 1
            total += min((last + 1) * size, manifest.shards[number].size) - first * size
    return Reported(len(spans), chunks, total)
