"""A dataset in a local folder: its seal's files, its shards, its records."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from dataseal.ledger import hashing
from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.ledger.manifest import Parameters, Shard
from dataseal.ledger.paths import SEAL


class LocalFolder:
    """A folder that claims to be a dataset. Nothing read from it is trusted here.

    Raises:
        UsageError: missing, or not a folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "no such folder"
            raise UsageError(f"{what}: {folder}", hint="give the folder that holds the dataset's files")
        self.folder = folder

    @property
    def name(self) -> str:
        """The folder as the user named it."""
        return str(self.folder)

    def seal(self) -> list[str] | None:
        """The names below ``.dataseal/``, sorted, whatever they are; None when there is no such folder.

        Raises:
            Unavailable: a folder below it can't be listed, such as one that lies too deep.
        """
        seal = self.folder / SEAL
        if seal.is_symlink() or not seal.is_dir():
            return None
        try:
            return sorted(_names(os.fspath(seal)))
        except OSError as error:
            raise Unavailable(
                f"can't list what lies in the seal: {error.strerror}",
                where=str(seal),
                hint="fetch the dataset again with its .dataseal/ folder, and check permissions",
            ) from None

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """One file below ``.dataseal/``, or None when it is no plain file.

        Raises:
            FormatError: it has more than ``limit`` bytes. Unavailable: it can't be read.
        """
        path = self.folder / SEAL / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if path.is_symlink() or (path.exists() and not path.is_file()):
                return None
            raise Unavailable(f"can't read {path}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise FormatError(f"more than {limit:,} bytes", where=f"{SEAL}/{name}")
        return data

    def walk(self, exclusions: Sequence[str]) -> hashing.Walk:
        """What lies in the folder beside the seal."""
        return hashing.walk(self.folder, exclusions)

    def hash(
        self,
        files: Sequence[hashing.File],
        parameters: Parameters,
        *,
        whole: bool,
        jobs: int | None = None,
        progress: hashing.Progress | None = None,
    ) -> list[Shard]:
        """Hashes files of `walk`."""
        return hashing.hash_files(files, parameters, whole=whole, jobs=jobs, progress=progress)

    def hash_chunks(
        self,
        picks: Sequence[tuple[hashing.File, Sequence[int]]],
        parameters: Parameters,
        *,
        jobs: int | None = None,
        progress: hashing.Progress | None = None,
    ) -> list[bytes]:
        """Hashes some chunks of each file."""
        return hashing.hash_chunks(picks, parameters, jobs=jobs, progress=progress)

    def open(self, shard: str) -> BinaryIO:
        """Opens a shard for reading records; symlinks are refused."""
        descriptor = os.open(self.folder / shard, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return os.fdopen(descriptor, "rb")


def is_records(path: str) -> bool:
    """Whether a shard holds records that a screen can read: by its name, in any case."""
    return path.lower().endswith(".parquet")


class Opens(Protocol):
    """Opens shards for reading."""

    def open(self, shard: str) -> BinaryIO:
        """A seekable stream over one shard."""


class Records:
    """The record shards of a dataset, as the screen reads them: only paths that the signed table lists."""

    def __init__(self, folder: Opens, paths: Sequence[str]) -> None:
        self._folder = folder
        self._paths = sorted(p for p in paths if is_records(p))

    def shards(self) -> Sequence[str]:
        """Paths of the Parquet shards, sorted."""
        return self._paths

    def open(self, shard: str) -> BinaryIO:
        """A seekable stream over one shard."""
        return self._folder.open(shard)


def _names(folder: str) -> list[str]:
    """Every name below ``folder``, an empty folder with a slash behind it. No recursion: its maker chose the depth."""
    names: list[str] = []
    todo = [""]
    while todo:
        prefix = todo.pop()
        empty = True
        with os.scandir(os.path.join(folder, prefix)) as items:
            for item in items:
                empty = False
                if item.is_dir(follow_symlinks=False):
                    todo.append(f"{prefix}{item.name}/")
                else:
                    names.append(prefix + item.name)
        if empty and prefix:
            names.append(prefix)
    return names
