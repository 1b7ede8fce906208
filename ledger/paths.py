"""The rules for shard paths (DESIGN section 3), in one place.

A path is UTF-8, relative, POSIX and normalised; it has no ``..``, no backslash and no control character, and no
two paths of a dataset are equal after NFC and case-folding, so that a dataset means the same files on every file
system. Example (``tests/ledger/test_paths.py``): ``data/train-00000.parquet`` is a path; ``/data/x``, ``data//x``,
``./x``, ``a/../x``, ``a\\x`` and ``x\\n`` are not.

Three folders at the dataset's *top level only* are never shards: ``.dataseal`` (a closed set, verified by name),
``.git`` and the hub client's ``.cache/huggingface``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from dataseal.ledger.errors import FormatError

MAX_PATH_BYTES: Final = 1024
"""Linux takes 4096 for a whole path; a dataset must also fit below somebody's folder."""

SEAL: Final = ".dataseal"
LEFT_OUT: Final = (SEAL, ".git", ".cache/huggingface")
"""What the walk leaves out at the top level, without being told."""

_FORBIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*\Z")
"""Most paths: they break no rule but perhaps that of length, and need not be looked at character by character."""


def check_path(path: str) -> None:
    """Checks one shard path.

    Raises:
        FormatError: naming the rule that the path breaks.
    """
    if is_plain(path):
        return  # no part of such a path begins with a dot
    check_relative(path)
    if path.split("/", 1)[0].casefold() == SEAL:
        raise FormatError(f"path {path[:200]!r} lies in {SEAL}/, which holds the seal itself", hint="rename the file")


def check_relative(path: str) -> None:
    """Checks a path as `check_path` does, and lets it lie in ``.dataseal/``: foreign formats know no seal.

    Raises:
        FormatError: naming the rule that the path breaks.
    """
    problem = None if is_plain(path) else _problem(path)
    if problem:
        raise FormatError(f"path {path[:200]!r} {problem}", hint="rename the file")


def is_relative(path: str) -> bool:
    """Whether `check_relative` would let ``path`` pass."""
    return is_plain(path) or _problem(path) is None


def is_plain(path: str) -> bool:
    """Whether a path is one of the many that can break no rule; of the others `check_path` knows."""
    return len(path) <= MAX_PATH_BYTES and _PLAIN.match(path) is not None


def _problem(path: str) -> str | None:
    try:
        size = len(path.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not UTF-8"
    if not path or size > MAX_PATH_BYTES:
        return f"has {size} bytes; 1 to {MAX_PATH_BYTES} are allowed"
    if "\\" in path:
        return "holds a backslash"
    if any(unicodedata.category(c) in _FORBIDDEN for c in path):
        return "holds a control character or a line separator"
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts:
        return "is not a normalised relative path"
    return None


def check_unique(paths: Iterable[str]) -> None:
    """Checks that paths stay apart on every file system.

    Raises:
        FormatError: two paths that are equal after NFC and case-folding, or one that is a folder of another.
    """
    paths = tuple(paths)
    if _are_apart(paths):
        return
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        folded = path.lower() if path.isascii() else _folded(path)
        if folded in seen:
            raise FormatError(
                f"paths {seen[folded]!r} and {path!r} are one file on a case-insensitive file system",
                hint="rename one of them",
            )
        seen[folded] = path
        end = folded.rfind("/")
        while end > 0 and folded[:end] not in folders:
            folders[folded[:end]] = path
            end = folded.rfind("/", 0, end)
    for folded, path in folders.items():
        if folded in seen:
            raise FormatError(f"path {seen[folded]!r} is a file, and a folder of {path!r}")


def _are_apart(paths: Sequence[str]) -> bool:
    """Whether ASCII paths, the most of all, need no closer look."""
    if not "".join(paths).isascii():
        return False
    folded = {path.lower() for path in paths}
    above = {path.rpartition("/")[0] for path in folded if "/" in path}
    folders = set(above)
    while above:
        above = {path.rpartition("/")[0] for path in above if "/" in path} - folders
        folders |= above
    return len(folded) == len(paths) and folded.isdisjoint(folders)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def sort_key(path: str) -> bytes:
    """Shards stand in the order of their paths' UTF-8 bytes."""
    return path.encode("utf-8")
