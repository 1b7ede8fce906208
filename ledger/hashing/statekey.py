"""The secret key under which this machine's own memory of files is kept: 32 random bytes, for its owner alone."""

from __future__ import annotations

import os
import secrets
import stat as stats
from contextlib import suppress
from pathlib import Path
from typing import Final

from dataseal.ledger.errors import Unavailable, UsageError

BYTES: Final = 32


def load(path: Path) -> bytes:
    """The key in ``path``, made at first use (mode 0600).

    Raises:
        UsageError: the file is another user's, can be read by others, or is no key. Unavailable: it can't be made.
    """
    try:
        if not os.path.lexists(path):
            _make(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            key = stream.read(BYTES + 1) if stats.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise Unavailable(f"can't use the key: {error.strerror}", where=str(path), hint="check permissions") from None
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or len(key) != BYTES:
        raise UsageError(
            "this key file is not its owner's alone, or no key: what is kept under it can't be believed",
            where=str(path),
            hint="remove it: a new one is made, and everything is read once",
        )
    return key


def _make(path: Path) -> None:
    """Made whole under another name and linked, so that of two processes at once both use the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(BYTES))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
