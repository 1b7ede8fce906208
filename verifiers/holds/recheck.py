"""Hold ``recheck``: when the command has ended, what stats say is new is hashed again. Detection only."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dataseal.ledger.errors import DatasealError
from dataseal.verifiers.compare import compare, forbidden
from dataseal.verifiers.finding import Finding, Pointer
from dataseal.verifiers.holds.base import HoldName, Looked, Target, Unheld
from dataseal.verifiers.sources.local import LocalFolder


class Recheck(Unheld):
    """The command gets the folder; a change while it ran taints the receipt."""

    name: HoldName = "recheck"

    def stats(self, source: LocalFolder) -> Mapping[str, tuple[int, ...]]:
        """Identity, size and times of every file."""
        return stats_of(source)

    def after(self, target: Target) -> Looked:
        """Looks again."""
        found = tuple(changes(target))
        return Looked(found, {"recheck": "changed" if found else "unchanged"})


def stats_of(source: LocalFolder) -> dict[str, tuple[int, ...]]:
    """Identity, size and times of every file, taken *before* the files are verified: a change after this shows."""
    return {f.path: found for f in source.walk(()).files if (found := _stat(f.location))}


def _stat(location: str) -> tuple[int, ...] | None:
    try:
        s = os.stat(location, follow_symlinks=False)
    except OSError:
        return None
    return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns


def changes(target: Target) -> list[Finding]:
    """What changed in the folder while the command ran. Detection only.

    What stats say is new is hashed again. What was wrong before the command started, and was allowed, is no change.
    """
    checked = target.examination.checked
    try:
        if checked.manifest is None or checked.release is None:
            return _touched(target)
        walked = target.source.walk(checked.release.exclusions)
        wanted = checked.manifest.by_path()
        again = [f for f in walked.files if f.path not in wanted or _stat(f.location) != target.stats.get(f.path)]
        fresh = {f.path for f in again}
        unchanged = [wanted[f.path] for f in walked.files if f.path not in fresh]
        hashed = target.source.hash(again, checked.manifest.parameters, whole=False)
        found = [*forbidden(walked.problems), *compare(checked.manifest, [*unchanged, *hashed], digests=False)]
    except (DatasealError, OSError) as error:
        what = error.what if isinstance(error, DatasealError) else str(error.strerror)
        where = (error.where if isinstance(error, DatasealError) else error.filename) or target.source.name
        return [_change(f"the data can't be looked at again: {what}", str(where))]
    return [f for f in found if f not in checked.findings]


def _touched(target: Target) -> list[Finding]:
    """Without a signed table nothing tells a touched file from a changed one: both count."""
    now = stats_of(target.source)
    paths = sorted(p for p in {*now, *target.stats} if now.get(p) != target.stats.get(p))
    return [_change(f"{p!r} was added, removed, written or touched", p) for p in paths]


def _change(message: str, where: str) -> Finding:
    return Finding(
        "integrity.unstable",
        message,
        where=(Pointer(where),),
        hint="find out what the command, or something beside it, did to the data; run again on a fresh copy",
    )
