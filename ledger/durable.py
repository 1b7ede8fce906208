"""Files that are there as a whole or not at all, also after a crash or a power cut.

A file is written under a hidden name beside its own, brought to the disk, and renamed; that the *name* is on the disk
is known only after its folder was brought there too (`sync_folder`), so that whoever writes many files does that once a
folder, before the file that makes the others count. Two writers of one folder take turns by a lock on the folder
itself, which leaves no lock file behind and ends with its process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dataseal.ledger.errors import Unavailable


def write_whole(path: Path, data: bytes) -> None:
    """Writes ``path`` anew; a reader sees the old bytes or the new ones. Its folder is not yet synced.

    The hidden name is the same every time: one writer works in a folder (`locked`), and overwrites what a crash left.

    Raises:
        OSError: as the system says; ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> list[Path]:
    """Makes a folder and those above it; returns the folders that have a new name in them, to be synced.

    Raises:
        OSError: as the system says.
    """
    missing = []
    at = folder
    while not at.is_dir():
        missing.append(at)
        at = at.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return [path.parent for path in missing]


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk.

    Raises:
        OSError: as the system says.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Alone in a folder, which is there, among those who ask this way.

    Raises:
        Unavailable: another one is there, and ``wait`` is False; or the folder can't be used.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"can't use the folder: {error.strerror}", where=str(folder)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Unavailable(
                "another process is writing there", where=str(folder), hint="wait for it to end, and run this again"
            ) from None
        yield
    finally:
        os.close(descriptor)
