"""What travels with a dataset: the closed set of files in ``.dataseal/``.

::

    .dataseal/shards.parquet                    the shard table, bound by the release's subject digest
    .dataseal/release/<n>.sigstore.json         signer n's bundle over the release statement (n from 1)
    .dataseal/release/<n>.tlog-proof            its inclusion proof; ``extra`` is the entry's header
    .dataseal/history/<index>.sigstore.json     each earlier release, modification and key announcement of the dataset,
    .dataseal/history/<index>.tlog-proof        by its index in the log, eight digits or more
    .dataseal/objects/<sha256>                  deltas that modifications bind by digest
    .dataseal/oms.sigstore.json                 the shard table in OMS form, signed by a signer of the release

Enough to verify with no network and no ledger. Every file is bound by a signature, a proof or a digest; any other name
is an integrity failure. The folder is replaced as a whole, by rename.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from dataseal.ledger.errors import Unavailable
from dataseal.ledger.paths import SEAL

TABLE: Final = "shards.parquet"
OMS: Final = "oms.sigstore.json"
_RELEASE = re.compile(r"release/([1-9][0-9]{0,2})\.(sigstore\.json|tlog-proof)\Z")
_HISTORY = re.compile(r"history/([0-9]{8}|[1-9][0-9]{8,18})\.(sigstore\.json|tlog-proof)\Z")
_OBJECT = re.compile(r"objects/[0-9a-f]{64}\Z")

MAX_TABLE: Final = 4 * 1024**3
"""Bytes of a shard table: one of 10 million shards takes about 1.5 GB."""

MAX_SMALL: Final = 64 * 1024
"""Bytes of a bundle or a proof."""


def release_name(signer: int, kind: str) -> str:
    """``release/<n>.<kind>``; kind is ``sigstore.json`` or ``tlog-proof``."""
    return f"release/{signer}.{kind}"


def history_name(index: int, kind: str) -> str:
    """``history/<index>.<kind>``."""
    return f"history/{index:08d}.{kind}"


def object_name(sha256: str) -> str:
    """``objects/<sha256>``."""
    return f"objects/{sha256}"


def known(name: str) -> bool:
    """Whether a file of this name (below ``.dataseal/``) belongs to the closed set."""
    return name in (TABLE, OMS) or any(p.match(name) for p in (_RELEASE, _HISTORY, _OBJECT))


def releases(names: Mapping[str, object]) -> list[int]:
    """The signer numbers for which a bundle or a proof is there."""
    return sorted({int(m[1]) for name in names if (m := _RELEASE.match(name))})


def history(names: Mapping[str, object]) -> list[int]:
    """The log indexes for which a history bundle or proof is there."""
    return sorted({int(m[1]) for name in names if (m := _HISTORY.match(name))})


def read(folder: Path, name: str, limit: int) -> bytes | None:
    """A file of the seal that is in ``folder``; None when none of at most ``limit`` bytes is there."""
    path = folder / SEAL / name
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError:
        return None
    return data if len(data) <= limit else None


def replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes ``files`` as ``folder/.dataseal/``, replacing what was there as a whole.

    A crash leaves either the old seal, or none beside a complete ``.dataseal.old``; `recover` puts that back.

    Raises:
        Unavailable: the files can't be written; the old seal is untouched.
    """
    new, old, seal = folder / f"{SEAL}.new", folder / f"{SEAL}.old", folder / SEAL
    try:
        _recover(folder)
        for name, data in files.items():
            target = new / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
        if seal.exists():
            seal.rename(old)
        new.rename(seal)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if old.is_dir() and not seal.exists():
            with suppress(OSError):  # else the next run's `recover` does it
                old.rename(seal)
        raise Unavailable(
            f"can't write {seal}: {error.strerror}",
            hint="free some disk space or check permissions, and run the same command again: "
            "the entry that is in the ledger already will be found and used",
        ) from None
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Clears what an interrupted `replace` left: half a new seal goes, a complete old one comes back.

    Raises:
        Unavailable: the folder can't be written.
    """
    try:
        _recover(folder)
    except OSError as error:
        raise Unavailable(
            f"can't clear what an interrupted run left in {folder}: {error.strerror}",
            where=error.filename,
            hint=f"check permissions, or remove {SEAL}.new and rename {SEAL}.old to {SEAL}",
        ) from None


def _recover(folder: Path) -> None:
    new, old, seal = folder / f"{SEAL}.new", folder / f"{SEAL}.old", folder / SEAL
    if new.is_dir() and not new.is_symlink():
        shutil.rmtree(new)
    if old.is_dir() and not old.is_symlink():
        if seal.exists():
            shutil.rmtree(old)
        else:
            old.rename(seal)
