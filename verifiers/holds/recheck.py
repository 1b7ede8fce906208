"""Hold ``recheck``: when the command has ended, what stats say is new is hashed again. Detection only.

It compares the data before the verification with the data after the command. Between the two, files may have been other
ones: whoever puts the signed bytes back leaves no other trace than inode numbers and change times. So the second
receipt says which of three it is::

    "recheck":"changed"                 the data is not what was verified: the run is tainted
    "recheck":"touched","touched":2     the bytes are as signed, and 2 files or folders have another identity or other
                                        times than before: nobody knows what was read. A backup does that too
    "recheck":"unchanged"               neither

Where times mean nothing (`dataseal.ledger.hashing.mounts`) every file is hashed again, and ``"times":"not believed"``
stands beside it: a file that was another one meanwhile can't be seen there. Nor can a mount over a folder that is gone.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from typing import Any, Final

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.hashing.mounts import why_not
from dataseal.verifiers.compare import compare, forbidden
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.holds.base import HoldName, Looked, Target, Unheld
from dataseal.verifiers.sources.local import LocalFolder

NAMED: Final = 5
"""Touched paths that a note names."""


class Recheck(Unheld):
    """The command gets the folder; a change that is there when it has ended taints the receipt."""

    name: HoldName = "recheck"

    def stats(self, source: LocalFolder) -> Mapping[str, tuple[int, ...]]:
        """Identity, size and times of every file and folder."""
        return stats_of(source)

    def after(self, target: Target) -> Looked:
        """Looks again."""
        return look(target)


def stats_of(source: LocalFolder) -> dict[str, tuple[int, ...]]:
    """Identity, size and times of files and of their folders, taken *before* the files are verified.

    A folder's name ends with a slash: one that was moved aside and back leaves its files' times as they were.
    """
    files = {f.path: f.location for f in source.walk(()).files}
    top = os.fspath(source.folder)
    places = {**{f"{folder}/": os.path.join(top, folder) for folder in _folders(files)}, "./": top, **files}
    return {path: found for path, location in places.items() if (found := _stat(location))}


def _folders(paths: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (path := posixpath.dirname(path)) and path not in found:
            found.add(path)
    return found


def _stat(location: str) -> tuple[int, ...] | None:
    try:
        s = os.stat(location, follow_symlinks=False)
    except OSError:
        return None
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def look(target: Target) -> Looked:
    """What happened to the folder while the command ran. Detection only.

    What stats say is new is hashed again. What was wrong before the command started, and was allowed, is no change.
    """
    checked = target.examination.checked
    believed = why_not(os.fspath(target.source.folder)) is None
    facts: dict[str, Any] = {} if believed else {"times": "not believed"}
    try:
        now = stats_of(target.source)
        touched = {p for p in {*now, *target.stats} if now.get(p) != target.stats.get(p)}
        if checked.manifest is None or checked.release is None:
            found = _touched(touched)
        else:
            walked = target.source.walk(checked.release.exclusions)
            wanted = checked.manifest.by_path()
            again = [f for f in walked.files if not believed or f.path not in wanted or f.path in touched]
            fresh = {f.path for f in again}
            unchanged = [wanted[f.path] for f in walked.files if f.path not in fresh]
            hashed = target.source.hash(again, checked.manifest.parameters, whole=False)
            actual = [*unchanged, *hashed]
            differs = [*forbidden(walked.problems), *compare(checked.manifest, actual, digests=False)]
            found = [f for f in differs if f not in checked.findings]
            touched -= touched.intersection(walked.excluded)
    except (DatasealError, OSError) as error:
        what = error.what if isinstance(error, DatasealError) else str(error.strerror)
        where = (error.where if isinstance(error, DatasealError) else error.filename) or target.source.name
        found = [_change(f"the data can't be looked at again: {what}", str(where))]
    if found:
        return Looked(tuple(found), {**facts, "recheck": "changed"})
    if touched:
        return Looked((), {**facts, "recheck": "touched", "touched": len(touched)}, (_note(target, touched),))
    return Looked((), {**facts, "recheck": "unchanged"})


def _note(target: Target, touched: set[str]) -> Finding:
    first = sorted(touched)
    named = ", ".join(first[:NAMED]) + (f" and {len(first) - NAMED} more" if len(first) > NAMED else "")
    return Finding(
        "integrity.touched",
        f"{len(touched)} files or folders were touched while the command ran: {named}; the bytes are as signed now, "
        "and nobody knows what was read",
        severity="note",
        where=(Pointer(target.source.name),),
        hint="--hold snapshot or handle keeps such changes from the command",
    )


def _touched(paths: set[str]) -> list[Finding]:
    """Without a signed table nothing tells a touched file from a changed one: both count."""
    return [_change(f"{p!r} was added, removed, written or touched", p) for p in sorted(paths)]


def _change(message: str, where: str) -> Finding:
    return Finding(
        "integrity.unstable",
        message,
        where=(Pointer(where),),
        hint="find out what the command, or something beside it, did to the data; run again on a fresh copy",
    )
