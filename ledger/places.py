"""Where a static log is: a folder, a bucket (any fsspec URL), a web server; read by path, and written to.

::

    /srv/log   file:/srv/log            a folder: written by fsync and rename
    s3://bucket/log   memory://log      fsspec: one put a resource where that is atomic, else put and move
    https://log.example.org             a web server: for reading only (`dataseal.ledger.fetch`)

A place that publishers write to (`dataseal.ledger.claims`) must be able to *create*: to make a resource if there is
none, of two who try at once for one alone. A folder can, by a hard link; of fsspec's stores those of `EXCLUSIVE`.

Reading is bounded by what a resource of that path can be at most. None means that there is nothing at the path;
`Unavailable` that it can't be told. Nothing that is read here is trusted.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, Final, Protocol

from dataseal.ledger.durable import locked, make_folder, sync_folder, write_whole
from dataseal.ledger.errors import DatasealError, FormatError, Unavailable, UsageError
from dataseal.ledger.resources import CHECKPOINT, Resources
from dataseal.ledger.tlog.limits import HASH_BYTES, MAX_ENTRY_BYTES, MAX_NOTE_BYTES
from dataseal.ledger.tlog.tile import Tile, parse_path

ATOMIC: Final = frozenset({"memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "tos", "hf"})
"""Object stores, whose single put is seen as a whole or not at all; on others a file is put aside and moved."""

EXCLUSIVE: Final = frozenset({"memory", "s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"})
"""Stores with a conditional put, which fsspec reaches by ``mode="create"``: elsewhere that is a look and then a put."""

MAX_CLAIM_BYTES: Final = 2048
"""A claim and its signature, which both hold the log's name."""
MAX_CLAIMED_BYTES: Final = 64 * 1024 * 1024
"""The entries of one append: the log commits at most 32 MiB at once, or one request that is larger than that."""

_CLAIM = re.compile(r"claims/(?:home|(?:0|[1-9][0-9]{0,18})(?P<entries>-[0-9a-f]{64}\.entries)?)\Z")
_creating = Lock()  # memory:// looks and then puts; its readers are all in this process
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?!\\)")


class Destination(Resources, Protocol):
    """A place that a log is published to."""

    def writing(self) -> AbstractContextManager[None]:
        """Around all writes; keeps other publishers out where the place can.

        Raises:
            Unavailable: another publisher is at work.
        """

    def put(self, path: str, data: bytes) -> None:
        """Makes ``data`` the resource at ``path``: as a whole or not at all.

        Raises:
            Unavailable: it can't be written.
        """

    @property
    def exclusive(self) -> bool:
        """Whether `create` holds against others who create at the same time."""

    def create(self, path: str, data: bytes) -> bool:
        """Makes ``data`` the resource at ``path`` if there is none; whether it is what is there now.

        Raises:
            Unavailable: it can't be told. UsageError: the place only seems to be `exclusive`.
        """

    def remove(self, path: str) -> None:
        """Removes the resource at ``path``; not being able to does no harm."""

    def settle(self) -> None:
        """What was put so far outlasts a power cut.

        Raises:
            Unavailable: that can't be had.
        """

    def discard_partials(self, tile: Tile) -> None:
        """Removes the partial tiles of a tile that is there in full; not being able to does no harm."""


def bound(path: str) -> int:
    """The most bytes that the resource at ``path`` can have.

    Raises:
        FormatError: no path of a static log.
    """
    if path == CHECKPOINT:
        return MAX_NOTE_BYTES
    if claim := _CLAIM.match(path):
        return MAX_CLAIMED_BYTES if claim["entries"] else MAX_CLAIM_BYTES
    tile = parse_path(path)
    return tile.width * (HASH_BYTES if tile.level is not None else 2 + MAX_ENTRY_BYTES)


def within_bound(path: str, data: bytes, name: str) -> bytes:
    """``data``, which was read up to one byte beyond its bound.

    Raises:
        FormatError: there is more than a resource of that path can be.
    """
    if len(data) > bound(path):
        raise FormatError(f"{path} has more than the {bound(path):,} bytes that it can have", where=f"{name}/{path}")
    return data


def is_network(url: str) -> bool:
    """Whether ``url`` is neither a folder nor in memory."""
    return scheme_of(url) not in ("file", "local", "memory")


def scheme_of(url: str) -> str:
    """The URL's scheme; ``file`` for a path."""
    match = _SCHEME.match(url)
    return match[1] if match else "file"


def open_destination(url: str, *, single_writer: bool = False) -> Destination:
    """The place at ``url``, for reading and writing.

    Args:
        single_writer: never two create there at once, which makes every store `exclusive`; none is asked to create.

    Raises:
        UsageError: nothing can write there.
    """
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        raise UsageError(
            f"a log can't be published to {url}: a web server is read from",
            hint="publish to the folder or bucket that the server serves",
        )
    if scheme in ("file", "local"):
        path = re.sub(r"\A(?:file|local):(?://)?", "", url)
        if not path:
            raise UsageError("no folder named")
        return Folder(Path(path))
    return Bucket(url, single_writer=single_writer)


class Folder:
    """A static log in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unsettled: set[Path] = set()
        self._lock = Lock()  # puts run in parallel

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def read(self, path: str) -> bytes | None:
        """The resource at ``path``; None when there is none."""
        limit = bound(path)
        try:
            # O_NONBLOCK: a pipe of that name must not hold us.
            descriptor = os.open(self._folder / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed("read", path, error) from None
        try:
            with open(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise FormatError("not a file", where=f"{self.name}/{path}")
                return within_bound(path, stream.read(limit + 1), self.name)
        except OSError as error:
            raise self._failed("read", path, error) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Makes the folder, and keeps other publishers out of it."""
        try:
            fresh = make_folder(self._folder)
        except OSError as error:
            raise self._failed("make", "", error) from None
        self._unsettled.update(fresh)
        with locked(self._folder, wait=False):
            yield

    def put(self, path: str, data: bytes) -> None:
        """Writes by fsync and rename; `settle` makes the name last."""
        target = self._folder / path
        try:
            fresh = make_folder(target.parent)
            write_whole(target, data)
        except OSError as error:
            raise self._failed("write", path, error) from None
        with self._lock:
            self._unsettled.update(fresh, [target.parent])

    @property
    def exclusive(self) -> bool:
        """A link is made by one."""
        return True

    def create(self, path: str, data: bytes) -> bool:
        """Writes it under another name, and links that; what is there then decides, as a share may lose an answer."""
        target = self._folder / path
        # Not by process: those of two containers that share the folder have the same numbers.
        aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            fresh = make_folder(target.parent)
            write_whole(aside, data)
            try:
                with suppress(FileExistsError):
                    os.link(aside, target)
            finally:
                aside.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("create", path, error) from None
        with self._lock:
            self._unsettled.update(fresh, [target.parent])
        return self.read(path) == data

    def remove(self, path: str) -> None:
        """Unlinks it."""
        with suppress(OSError):
            (self._folder / path).unlink()

    def settle(self) -> None:
        """Brings the names of all that was put to the disk."""
        with self._lock:
            folders, self._unsettled = self._unsettled, set()
        for folder in sorted(folders):
            try:
                sync_folder(folder)
            except OSError as error:
                raise self._failed("write", "", error) from None

    def discard_partials(self, tile: Tile) -> None:
        """Removes ``<tile>.p/``; what can't be removed stays."""
        import shutil

        shutil.rmtree(self._folder / f"{tile.path}.p", ignore_errors=True)

    def _failed(self, what: str, path: str, error: OSError) -> Unavailable:
        where = f"{self.name}/{path}".rstrip("/")
        return Unavailable(
            f"can't {what} it: {error.strerror or error}", where=where, hint="check permissions and free space"
        )


class Bucket:
    """A static log under any fsspec URL. Such places know no locks."""

    def __init__(self, url: str, *, single_writer: bool = False) -> None:
        import fsspec  # type: ignore[import-untyped]

        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            raise UsageError(
                f"{scheme_of(url)} URLs need a library: {error}", hint="install it beside dataseal"
            ) from None
        except ValueError as error:
            raise UsageError(f"not a place that can be read: {error}", hint="give a folder or an fsspec URL") from None
        except Exception as error:  # noqa: BLE001  each backend raises what it likes when it connects
            raise _failed("open", without_secrets(url), error) from None
        self._url = without_secrets(url).rstrip("/")
        self._atomic = scheme_of(url) in ATOMIC
        self._creates = scheme_of(url) in EXCLUSIVE and not single_writer
        self._proven = False
        self._single_writer = single_writer

    @property
    def name(self) -> str:
        """The URL, without a password in it."""
        return self._url

    def read(self, path: str) -> bytes | None:
        """The resource at ``path``; None when there is none."""
        limit = bound(path)
        try:
            data: Any = self._files.cat_file(self._at(path), start=0, end=limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # noqa: BLE001  each backend raises what it likes
            raise _failed("read", f"{self.name}/{path}", error) from None
        return within_bound(path, bytes(data), self.name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nothing here keeps others out."""
        yield

    def put(self, path: str, data: bytes) -> None:
        """One put; beside its name and then moved where a put can be seen half done."""
        at = self._at(path)
        aside = at if self._atomic else str(PurePosixPath(at).with_name(f".{PurePosixPath(at).name}.new"))
        try:
            if not self._atomic:
                self._files.makedirs(str(PurePosixPath(at).parent), exist_ok=True)
            self._files.pipe_file(aside, data)
            if aside != at:
                self._files.mv(aside, at)
        except Exception as error:  # noqa: BLE001  each backend raises what it likes
            raise _failed("write", f"{self.name}/{path}", error) from None

    @property
    def exclusive(self) -> bool:
        """Whether the store has a conditional put, or nobody else writes."""
        return self._creates or self._single_writer

    def create(self, path: str, data: bytes) -> bool:
        """A conditional put, whose outcome is read back; under `single_writer` a look and a put."""
        if (there := self.read(path)) is not None:
            return there == data
        if not self._creates:
            self.put(path, data)
            return self.read(path) == data
        self._demand_condition(path)
        with _creating:
            failure = self._create(path, data)
        there = self.read(path)
        if there is None:
            error = failure if isinstance(failure, Exception) else FileNotFoundError("it is not there")
            raise _failed("create", f"{self.name}/{path}", error)
        return there == data

    def _demand_condition(self, path: str) -> None:
        """Tries, once, whether the server knows the condition: beside ``path``, where nothing can be overwritten."""
        if self._proven:
            return
        aside = f"{path}.{secrets.token_hex(8)}.probe"
        first, second = self._create(aside, b"probe"), self._create(aside, b"probe")
        self.remove(aside)
        if first is None and second is None:
            raise UsageError(
                "the server overwrites what it was told to create: two publishers there could fork the log",
                where=f"{self.name}/{path}",
                hint="use a server with conditional puts; or, if never two publishers write at once, say "
                "single_writer = true under [ledger] in dataseal.toml",
            )
        self._proven = first is None and isinstance(second, FileExistsError)

    def _create(self, path: str, data: bytes) -> Exception | None:
        """One conditional put; what it raised. An answer that was lost is no answer: what is there decides."""
        try:
            self._files.pipe_file(self._at(path), data, mode="create")
        except Exception as error:  # noqa: BLE001  each backend raises what it likes
            return error
        return None

    def remove(self, path: str) -> None:
        """Removes it; what can't be removed stays."""
        with suppress(Exception):
            self._files.rm_file(self._at(path))

    def settle(self) -> None:
        """A put that returned lasts."""

    def discard_partials(self, tile: Tile) -> None:
        """Removes what lies under ``<tile>.p/``; what can't be removed stays."""
        try:
            self._files.rm(self._at(f"{tile.path}.p"), recursive=True)
        except Exception:  # noqa: BLE001  a publisher that may not delete publishes all the same
            return

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"


def without_secrets(url: str) -> str:
    """``url`` without user name and password."""
    return re.sub(r"(://)[^/@]*@", r"\1", url)


def _failed(what: str, where: str, error: Exception) -> DatasealError:
    text = str(error).replace("\n", " ")[:300] or type(error).__name__
    return Unavailable(f"can't {what} it: {text}", where=where, hint="check the address, your rights and the network")
