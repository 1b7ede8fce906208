"""Files of evidence: what lies beside a bundle, and where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dataseal.ledger.errors import Unavailable, UsageError

BUNDLE: Final = ".sigstore.json"


def read(path: Path, limit: int) -> bytes:
    """A file of at most ``limit`` bytes.

    Raises:
        UsageError: it can't be read, or is larger.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"can't read the file: {error.strerror}", where=str(path), hint="check the path") from None
    if len(data) > limit:
        raise UsageError(f"the file has more than {limit:,} bytes", where=str(path), hint="give another file")
    return data


def beside(path: Path, suffix: str, limit: int) -> bytes | None:
    """What lies beside ``NAME.sigstore.json`` as ``NAME<suffix>``; None when nothing does."""
    other = path.with_name(path.name.removesuffix(BUNDLE) + suffix)
    return read(other, limit) if path.name.endswith(BUNDLE) and other.is_file() else None


def write(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Writes files into a folder, which is made.

    Raises:
        Unavailable: one can't be written.
    """
    from dataseal.ledger.durable import write_whole

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_whole(folder / name, data)
    except OSError as error:
        raise Unavailable(
            f"can't write the files: {error.strerror}",
            where=str(folder),
            hint="`dataseal evidence list --to` writes them",
        ) from None
    return tuple(folder / name for name in files)
