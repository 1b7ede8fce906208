"""Content-addressed files: shard tables and deltas, under the SHA-256 that statements bind them by."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError


class Objects:
    """A folder of objects, ``<first two digits>/<sha256>``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Stores ``data`` and returns its SHA-256 in hexadecimal. Storing it again changes nothing.

        Raises:
            Unavailable: it can't be written.
        """
        digest = sha256(data).hex()
        path = self._path(digest)
        try:
            if path.is_file() and sha256(path.read_bytes()).hex() == digest:
                return digest  # one that was altered or cut short is written anew
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
                try:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                    Path(stream.name).rename(path)
                    _sync(path.parent)  # a statement that is logged next must find its object after a power cut
                except BaseException:
                    Path(stream.name).unlink(missing_ok=True)
                    raise
        except OSError as error:
            raise Unavailable(
                f"can't write {path}: {error.strerror}", hint="free some disk space; nothing was recorded"
            ) from None
        return digest

    def get(self, digest: str, *, what: str) -> bytes:
        """The object under ``digest``, checked against it.

        Raises:
            UsageError: it is not at hand, naming it. IntegrityError: it was altered.
        """
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UsageError(
                f"object {digest} ({what}) is not in this workspace",
                hint=f"copy it into {self.folder} from where it was made, or give a folder with that version",
            ) from None
        except OSError as error:
            raise Unavailable(f"can't read {path}: {error.strerror}") from None
        if sha256(data).hex() != digest:
            raise IntegrityError(f"object {digest} ({what}) was altered", where=str(path))
        return data

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
