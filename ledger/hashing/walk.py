"""The walk: what lies below a folder, in the order of the paths' bytes, with one stat a file.

What the rules forbid (symlinks, special files, names that break `dataseal.ledger.paths`) is returned as a `Problem`
beside the files: signing raises on the first, verification reports them all.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat as stats
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.hashing.opening import Identity, unreadable
from dataseal.ledger.paths import LEFT_OUT, check_path, is_plain


class File(NamedTuple):
    """A regular file of a dataset. A tuple, because there are millions.

    Attributes:
        path: its shard path. folder: the dataset's folder, as the user named it; only that part may hold links.
        size: bytes. identity: what the walk saw; None when there was no walk.
    """

    path: str
    folder: str
    size: int
    identity: Identity | None = None

    @property
    def location(self) -> str:
        """Where the file lies."""
        return os.path.join(self.folder, self.path)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something below the walked folder that can't be a shard, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What lies below a folder.

    Attributes:
        files: regular files, in the order of their paths' bytes. problems: what can't be a shard.
        left_out: top-level folders that are never shards. excluded: paths that an exclusion matched.
        began: when the walk began, in nanoseconds of the system's clock; 0 when nobody looked.
    """

    files: tuple[File, ...]
    problems: tuple[Problem, ...]
    left_out: tuple[str, ...]
    excluded: tuple[str, ...]
    began: int = 0


def walk(folder: str | os.PathLike[str], exclusions: Sequence[str] = ()) -> Walk:
    """Lists ``folder``.

    Args:
        exclusions: globs over whole shard paths (``*`` crosses slashes), as a release records them.

    Raises:
        UsageError: ``folder`` is missing or not a folder. IntegrityError: a file vanished meanwhile.
        Unavailable: a folder below it can't be listed.
    """
    root = os.fspath(folder)
    if not os.path.isdir(root):
        missing = not os.path.lexists(root)
        raise UsageError(
            f"{'no such folder' if missing else 'not a folder'}: {root}",
            hint="give the folder that holds the dataset's files",
        )
    began = time.time_ns()
    unwanted = [re.compile(fnmatch.translate(glob)).match for glob in exclusions]
    files: list[File] = []
    problems: list[Problem] = []
    left_out: list[str] = []
    excluded: list[str] = []
    new = tuple.__new__  # a third of the time that a named tuple's own takes
    for path, item in _scan(root, left_out):
        if unwanted and any(match(path) for match in unwanted):
            excluded.append(path)
            continue
        try:
            found = item.stat(follow_symlinks=False)
        except OSError as error:
            raise unreadable(path, error) from None
        reason = None if stats.S_ISREG(found.st_mode) and is_plain(path) else _why_not(path, root, found)
        if reason:
            problems.append(Problem(path, reason))
        else:
            size = found.st_size
            identity = (found.st_dev, found.st_ino, size, found.st_mtime_ns, found.st_ctime_ns)
            files.append(new(File, (path, root, size, identity)))
    files.sort(key=itemgetter(0))  # paths are unique; code points stand in the order of their UTF-8 bytes
    problems.sort(key=lambda p: os.fsencode(p.path))
    return Walk(tuple(files), tuple(problems), tuple(sorted(left_out)), tuple(sorted(excluded)), began)


def _scan(root: str, left_out: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Whatever is no folder, by shard path. A loop, because whoever made the dataset chose how deep it nests.

    Folders are listed by descriptor: what lies in them is then looked up from there, and not along its whole path.
    """
    folders = [""]
    while folders:
        prefix = folders.pop()
        location = os.path.join(root, prefix)
        try:
            descriptor = os.open(location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unlisted(location, error) from None
        try:
            try:
                with os.scandir(descriptor) as found:
                    items = list(found)
            except OSError as error:
                raise _unlisted(location, error) from None
            for item in items:
                path = prefix + item.name
                if not item.is_dir(follow_symlinks=False):
                    yield path, item
                elif path in LEFT_OUT:
                    left_out.append(path)
                else:
                    folders.append(path + "/")
        finally:
            os.close(descriptor)


def _unlisted(folder: str, error: OSError) -> Unavailable:
    return Unavailable(f"can't list the folder: {error.strerror}", where=folder[:200], hint="check its permissions")


def _why_not(path: str, root: str, found: os.stat_result) -> str | None:
    if not stats.S_ISREG(found.st_mode):
        if not stats.S_ISLNK(found.st_mode):
            return "is neither a file nor a folder; a dataset holds plain files only"
        try:
            target = os.readlink(os.path.join(root, path))
        except OSError:
            target = "?"
        return f"is a symbolic link to {target!r}; a dataset holds plain files only"
    try:
        check_path(path)
    except FormatError as error:
        return error.what.removeprefix(f"path {path[:200]!r} ")
    return None
