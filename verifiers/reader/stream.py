"""A shard as a file: read, readinto, seek, and ``read_buffer``, by which pyarrow reads without a copy."""

from __future__ import annotations

import atexit
import gc
import io
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from dataseal.ledger.manifest import Shard
from dataseal.verifiers.reader.chunks import Chunks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from dataseal.verifiers.reader.opened import Opened


class VerifiedFile(io.RawIOBase):
    """A signed shard, for reading; every byte that it gives was checked. Not to be shared by threads, as files are not.

    Raises:
        FileNotFoundError: no shard of that name was signed. IsADirectoryError: it is a folder.
    """

    def __init__(self, opened: Opened, path: str) -> None:
        super().__init__()
        self._opened = opened
        self._shard: Shard = opened.tree.shard(path)
        self._number = opened.tree.numbers[path]
        self._chunks: Chunks = opened.chunks
        self._chunk_size = opened.manifest.parameters.chunk_size
        self._at = 0
        self._next = 0  # where a front-to-back reader goes on
        self._fetched = -1  # the last chunk that this file asked for in advance
        self.mode = "rb"
        _LIVE.add(self)
        self.blocksize = self._chunk_size

    @property
    def name(self) -> str:
        """The shard's path."""
        return self._shard.path

    @property
    def path(self) -> str:
        """The shard's path, as fsspec calls it."""
        return self._shard.path

    @property
    def full_name(self) -> str:
        """The shard's path, as fsspec calls it elsewhere."""
        return self._shard.path

    @property
    def size(self) -> int:
        """Bytes, as signed."""
        return self._shard.size

    def info(self) -> dict[str, Any]:
        """What the table says of the shard."""
        return self._opened.tree.info(self._shard.path)

    def read_at(self, start: int, length: int) -> memoryview:
        """Up to ``length`` bytes from ``start`` on, as a read-only view; the position stays.

        Raises:
            ChunkInvalid: they are not what was signed. TargetUnavailable: they can't be fetched.
        """
        stop = min(start + length, self._shard.size)
        if start >= stop:
            return memoryview(b"")
        view = self._chunks.read(self._number, self._shard, start, stop)
        if start == self._next:
            self._look_ahead((stop - 1) // self._chunk_size, wide=stop - start > self._chunk_size)
        self._next = stop
        return view

    def _look_ahead(self, last: int, *, wide: bool) -> None:
        """Fetches what comes next while the caller works on this; wide reads keep every processor busy already."""
        if not wide and self._chunks.ahead and self._fetched <= last and last + 1 < self._shard.chunk_count:
            self._chunks.prefetch(self._number, self._shard, last + 1)
            self._fetched = last + max(1, self._chunks.ahead // 2)

    def read_buffer(self, size: int | None = -1) -> memoryview:
        """Like `read`, without a copy: pyarrow's PythonFile calls this."""
        self._check_open()
        view = self.read_at(self._at, self._shard.size - self._at if size is None or size < 0 else size)
        self._at += len(view)
        return view

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, all that are left when it is negative."""
        return bytes(self.read_buffer(-1 if size is None else size))

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fills ``buffer``; returns how many bytes."""
        target = memoryview(buffer).cast("B")
        view = self.read_buffer(len(target))
        target[: len(view)] = view
        return len(view)

    readinto1 = readinto

    def read1(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes; about a chunk when it is negative."""
        return self.read(self._chunk_size if size is None or size < 0 else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves the position."""
        self._check_open()
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._shard.size}.get(whence)
        if base is None:
            raise ValueError(f"whence is {whence}; 0, 1 or 2 are known")
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The position."""
        self._check_open()
        return self._at

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._opened, self._shard.path, self._at)


def _reopen(opened: Opened, path: str, at: int) -> VerifiedFile:
    file = VerifiedFile(opened, path)
    file.seek(at)
    return file


LET_GO_SECONDS: Final = 0.25

_LIVE: weakref.WeakSet[VerifiedFile] = weakref.WeakSet()


def _let_go() -> None:
    """Gives pyarrow's threads the time to let go of their files before the interpreter ends.

    A scan is over for its caller a little before its threads drop the file. One that does so in an interpreter that is
    going down kills the process (``terminate called without an active exception``), and a training run that had ended
    well has failed. A file that Python code still holds is no such case.
    """
    if "pyarrow" not in sys.modules:
        return
    deadline = time.monotonic() + LET_GO_SECONDS
    while time.monotonic() < deadline and any(_held_by_threads()):
        time.sleep(0.001)


def _held_by_threads() -> list[bool]:
    files = list(_LIVE)
    # The list itself is one that refers to each.
    return [len(gc.get_referrers(file)) <= 1 for file in files]


atexit.register(_let_go)
