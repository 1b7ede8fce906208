"""Opens files below a folder without ever following a link, and tells whether a file stayed the same.

``O_NOFOLLOW`` looks at a path's last part only: a folder that was swapped for a link between the walk and the open
would lead elsewhere. So each part is opened from the descriptor of the folder above it (openat(2)). The folder that
the user named may be a link; nothing below it may. The last folder's descriptor is kept, so that its files cost one
open each, and a shorter one than by a whole path.
"""

from __future__ import annotations

import errno
import os
import stat as stats
from typing import Final

from dataseal.ledger.errors import DatasealError, IntegrityError, Unavailable

Identity = tuple[int, int, int, int, int]
"""Device, inode, size in bytes, and the times of the last change of data and of anything, in nanoseconds."""

# What the walk saw as a file must not have become a link (O_NOFOLLOW) or a pipe that never ends (O_NONBLOCK).
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Below:
    """Opens the files below one folder. Used by one thread."""

    def __init__(self, folder: str) -> None:
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._here, self._at = self._root, ""

    def open(self, path: str) -> int:
        """A descriptor of the file at a shard path, for reading.

        Raises:
            OSError: as the system says.
        """
        parent, _, name = path.rpartition("/") if "/" in path else ("", "", path)
        if parent != self._at:
            here = self._folder(parent)
            self._leave()
            self._here, self._at = here, parent
        return os.open(name, _FILE, dir_fd=self._here)

    def _folder(self, path: str) -> int:
        here = self._root
        for part in path.split("/") if path else ():
            try:
                below = os.open(part, _FOLDER, dir_fd=here)
            finally:
                if here != self._root:
                    os.close(here)
            here = below
        return here

    def _leave(self) -> None:
        if self._here != self._root:
            os.close(self._here)
            self._here = self._root
        self._at = ""

    def close(self) -> None:
        """Closes what is open."""
        self._leave()
        os.close(self._root)


def identity_of(found: os.stat_result) -> Identity:
    """What tells one state of a file from another."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def opened(descriptor: int, path: str, size: int, walked: Identity | None) -> Identity:
    """The identity that an open file must have after it was read.

    Raises:
        IntegrityError: it is no plain file, or has another size.
    """
    if walked is not None and walked[2] == size:
        # What was walked was a plain file; that this is it shows when it is looked at after it was read. Until then
        # no more than its size is read, and nothing that waits for a writer (O_NONBLOCK).
        return walked
    found = os.fstat(descriptor)
    if not stats.S_ISREG(found.st_mode) or found.st_size != size:
        raise changed(path)
    return identity_of(found)


def changed(path: str) -> IntegrityError:
    """The error for a file that did not stay the same."""
    return IntegrityError(
        "the file changed while it was read", where=path, hint="stop what writes to it, and run again"
    )


def unreadable(path: str, error: OSError) -> DatasealError:
    """The error for a file that can't be opened or read."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return IntegrityError(
            "the file vanished while the dataset was read", where=path, hint="stop what removes it, and run again"
        )
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder or a socket took its place
        return changed(path)
    return Unavailable(f"can't read the file: {error.strerror}", where=path, hint="check its permissions")
