"""Where bytes come from: a folder, a web server, or any fsspec file system. Nothing that they give is trusted.

A target has the seal's files and can fill a buffer from a shard. That is all that a new kind of source has to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.paths import SEAL
from dataseal.ledger.places import without_secrets
from dataseal.ledger.seal import TABLE, release_name
from dataseal.verifiers.reader.errors import TargetUnavailable
from dataseal.verifiers.sources.local import LocalFolder

MAX_SIGNERS: Final = 64
"""Bundles that are asked for where the seal can't be listed."""

MAX_ABOVE: Final = 32
"""Folders above the named one in which a seal is looked for."""

_WEB: Final = frozenset({"http", "https"})
_LOCAL: Final = frozenset({"file", "local"})


class Target(Protocol):
    """A place that holds a dataset."""

    @property
    def name(self) -> str:
        """The place as the user named it, without a password."""

    request: int
    """Bytes that one request asks for at most; 0: as many as are wanted. More requests run side by side."""

    def read_into(self, path: str, start: int, view: memoryview) -> int:
        """Fills ``view`` from byte ``start`` of a shard. Returns how many bytes there were.

        Raises:
            FileNotFoundError: no file of that name. TargetUnavailable: it can't be told.
        """

    def seal(self) -> list[str] | None:
        """The names below ``.dataseal/``, as far as they can be listed; None when there is no seal."""

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """One file below ``.dataseal/`` of at most ``limit`` bytes; None when it is not there."""


class Folder(LocalFolder):
    """A local folder."""

    request = 0

    def read_into(self, path: str, start: int, view: memoryview) -> int:
        """See `Target`. A link is not followed and a pipe not waited for: the error would name the wrong thing."""
        try:
            descriptor = os.open(self.folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(path) from None
        except OSError as error:
            raise TargetUnavailable(f"can't open the file: {error.strerror}", where=f"{self.name}/{path}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(path)
            filled = 0
            while filled < len(view):
                got = os.preadv(descriptor, [view[filled:]], start + filled)
                if not got:
                    break
                filled += got
            return filled
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise TargetUnavailable(f"can't read the file: {error.strerror}", where=f"{self.name}/{path}") from None
        finally:
            os.close(descriptor)


class Remote:
    """A folder of any fsspec file system: a bucket, a hub, memory."""

    request = 8 * 1024 * 1024

    def __init__(self, protocol: str, path: str, options: Mapping[str, Any]) -> None:
        import fsspec  # type: ignore[import-untyped]

        try:
            self._files: Any = fsspec.filesystem(protocol, **options)
        except ImportError as error:
            raise UsageError(f"{protocol} URLs need a library: {error}", hint="install it beside dataseal") from None
        except ValueError as error:
            raise UsageError(f"not a place that can be read: {error}", hint="give a folder or an fsspec URL") from None
        except Exception as error:  # noqa: BLE001  each backend raises what it likes when it connects
            raise TargetUnavailable(f"can't open it: {_text(error)}", where=f"{protocol}://{path}") from None
        self._top = path.rstrip("/")
        self.name = without_secrets(f"{protocol}://{self._top}")

    def read_into(self, path: str, start: int, view: memoryview) -> int:
        """See `Target`."""
        data = self._cat(f"{self._top}/{path}", start, start + len(view))
        # A store that ignores the range answers with more: what doesn't fit is cut, and the digest tells.
        got = min(len(data), len(view))
        view[:got] = data[:got]
        return got

    def seal(self) -> list[str] | None:
        """See `Target`."""
        folder = f"{self._top}/{SEAL}"
        try:
            found: list[str] = self._files.find(folder)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001  each backend raises what it likes
            raise TargetUnavailable(f"can't list it: {_text(error)}", where=f"{self.name}/{SEAL}") from None
        prefix = f"{folder}/".lstrip("/")
        names = [name.lstrip("/") for name in found]
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix)) or None

    def read_seal(self, name: str, limit: int) -> bytes | None:
        """See `Target`."""
        try:
            data = self._cat(f"{self._top}/{SEAL}/{name}", 0, limit + 1)
        except FileNotFoundError:
            return None
        return bounded(data, limit, name)

    def _cat(self, path: str, start: int, stop: int) -> bytes:
        try:
            data: bytes = self._files.cat_file(path, start=start, end=stop)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise FileNotFoundError(path) from None
        except Exception as error:  # noqa: BLE001  each backend raises what it likes
            raise TargetUnavailable(f"can't read it: {_text(error)}", where=f"{self.name}: {path}") from None
        return data


def bounded(data: bytes, limit: int, name: str) -> bytes:
    """``data``, which was read up to one byte beyond its limit.

    Raises:
        FormatError: there is more.
    """
    if len(data) > limit:
        raise FormatError(f"more than {limit:,} bytes", where=f"{SEAL}/{name}")
    return data


def probe(target: Target) -> list[str] | None:
    """The seal's names where it can't be listed: the table, and each signer's files until a number is missing."""
    from dataseal.ledger.seal import MAX_SMALL

    names = []
    for number in range(1, MAX_SIGNERS + 1):
        found = [
            name
            for kind in ("sigstore.json", "tlog-proof")
            if target.read_seal(name := release_name(number, kind), MAX_SMALL) is not None
        ]
        if not found:
            break
        names += found
    return sorted([*names, TABLE]) if names else None


def open_target(protocol: str, path: str, options: Mapping[str, Any] | None = None) -> Target:
    """The target of a chained URL.

    Raises:
        UsageError: no such folder, an unknown protocol, or one whose library is not installed.
    """
    given = dict(options or {})
    if protocol in _LOCAL:
        return Folder(Path(path))
    if protocol in _WEB:
        from dataseal.verifiers.reader.web import Web

        return Web(path, **given)
    return Remote(protocol, path, given)


def find_top(protocol: str, path: str, options: Mapping[str, Any] | None = None) -> tuple[str, Target]:
    """The dataset that ``path`` names, or lies in: the nearest folder upward with a shard table.

    Whoever wrote the data may have put a seal anywhere; it has to verify as the expected dataset all the same.

    Raises:
        UsageError: there is none. Unavailable: it can't be told.
    """
    candidate = _before_glob(path)
    for _ in range(MAX_ABOVE):
        if protocol not in _LOCAL or os.path.isdir(candidate):
            target = open_target(protocol, candidate, options)
            if _sealed(target):
                return candidate, target
        above = candidate.rpartition("/")[0]
        if not above or above.endswith((":", ":/")) or above == candidate:
            break
        candidate = above
    raise UsageError(
        f"no dataset here: neither {without_secrets(path)} nor a folder above it holds {SEAL}/",
        hint="name the dataset's top folder, the one that holds .dataseal/",
    )


def _sealed(target: Target) -> bool:
    """Whether there is a shard table, without reading it."""
    if isinstance(target, Folder):
        return os.path.isfile(target.folder / SEAL / TABLE)
    try:
        return bool(target.read_into(f"{SEAL}/{TABLE}", 0, memoryview(bytearray(4))))
    except FileNotFoundError:
        return False


def _before_glob(path: str) -> str:
    """The part of a path that no glob character stands in."""
    stop = min((at for at in map(path.find, "*?[") if at >= 0), default=len(path))
    return path.rstrip("/") if stop == len(path) else path[:stop].rpartition("/")[0]


def _text(error: Exception) -> str:
    return without_secrets(" ".join(str(error).split())[:300]) or type(error).__name__
