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

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dataseal.ledger import canonical
from dataseal.ledger.errors import FormatError, Unavailable
from dataseal.ledger.manifest import Manifest
from dataseal.verifiers.reader.pin import Pin

SUFFIX: Final = ".reads"
MAX_FILES: Final = 4096
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of all reports together: some 5 million ranges. Who reports writes what it likes."""

_LINE = re.compile(rb"(0|[1-9][0-9]{0,9}) (0|[1-9][0-9]{0,11}) (0|[1-9][0-9]{0,11})\Z")


class Reads:
    """Reports the reads of this process.

    Args:
        folder: where the report goes. pin: what is read.
    """

    def __init__(self, folder: str, pin: Pin) -> None:
        self._folder, self._root = folder, pin.root
        self._told: set[tuple[int, int]] = set()
        self._descriptor: int | None = None

    def note(self, number: int, first: int, last: int) -> None:
        """Tells that the chunks ``first`` to ``last`` of a shard were handed out.

        Raises:
            Unavailable: it can't be written; a receipt that tells less than was read would be a wrong one.
        """
        new = {(number, at) for at in range(first, last + 1)} - self._told
        if not new:
            return
        self._told |= new
        try:
            if self._descriptor is None:
                path = os.path.join(self._folder, f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}")
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
                self._descriptor = os.open(path, flags, 0o600)
                os.write(self._descriptor, canonical.encode({"root": self._root, "v": 1}) + b"\n")
            os.write(self._descriptor, b"%d %d %d\n" % (number, first, last))
        except OSError as error:
            raise Unavailable(
                f"can't report what was read: {error.strerror}",
                where=self._folder,
                hint="the gate's folder is gone or full: run the command under its gate, with space for it",
            ) from None

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Reported:
    """What the processes of a run said that they read of one dataset: distinct chunks, their bytes, shards."""

    shards: int
    chunks: int
    bytes: int

    def json(self) -> dict[str, Any]:
        """For a receipt."""
        return {"shards": self.shards, "chunks": self.chunks, "bytes": self.bytes}


def collect(folder: Path, manifests: Mapping[str, Manifest]) -> dict[str, Reported]:
    """Reads all reports in ``folder``, strictly: one bad line spoils all of them.

    Args:
        manifests: by hexadecimal root.

    Returns: what was reported, by root; a root that nobody read is not in it.

    Raises:
        FormatError: a report that is none, or that names what is not in the manifest. Unavailable: it can't be read.
    """
    found: dict[str, set[tuple[int, int]]] = {}
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
            root, chunks = _parse(data, name, manifests)
            found.setdefault(root, set()).update(chunks)
    except OSError as error:
        raise Unavailable(f"can't read what was reported: {error.strerror}", where=str(folder)) from None
    return {root: _summed(chunks, manifests[root]) for root, chunks in found.items() if chunks}


def _parse(data: bytes, name: str, manifests: Mapping[str, Manifest]) -> tuple[str, set[tuple[int, int]]]:
    head, _, rest = data.partition(b"\n")
    value = canonical.decode_canonical(head, what="report", max_bytes=200)
    if not isinstance(value, dict) or set(value) != {"root", "v"} or value["v"] != 1 or value["root"] not in manifests:
        raise FormatError("the report is not about a dataset of this run", where=name)
    shards = manifests[value["root"]].shards
    found: set[tuple[int, int]] = set()
    if rest and not rest.endswith(b"\n"):
        raise FormatError("the report's last line is not whole", where=name)
    for line in rest.splitlines():
        match = _LINE.match(line)
        if not match:
            raise FormatError(f"the report has a line that is none: {line[:60]!r}", where=name)
        number, first, last = (int(group) for group in match.groups())
        if number >= len(shards) or not first <= last < shards[number].chunk_count:
            raise FormatError(f"the report names chunks that are not there: {line[:60]!r}", where=name)
        found.update((number, at) for at in range(first, last + 1))
    return value["root"], found


def _summed(chunks: set[tuple[int, int]], manifest: Manifest) -> Reported:
    size = manifest.parameters.chunk_size
    total = sum(min(size, manifest.shards[number].size - at * size) for number, at in chunks)
    return Reported(len({number for number, _ in chunks}), len(chunks), total)
