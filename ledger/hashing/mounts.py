"""Where a file's identity and times mean something: local file systems only.

On a network file system the times come from another machine's clock and from a cache, and two writers need not see
each other; some others have no change time at all. So the list is one of what is known to be good, and what is not on
it, or can't be told, is not believed. The type is that of the longest mount point above the folder, and of every
mount below it (proc(5), mountinfo).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

LOCAL: Final = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs", "xfs", "zfs")
)
MOUNTS: Final = Path("/proc/self/mountinfo")

_ESCAPE = re.compile(r"\\([0-7]{3})")


def why_not(folder: str, mounts: Path = MOUNTS) -> str | None:
    """Why the times of files below ``folder`` can't be believed; None when they can."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return f"{mounts} can't be read, so that nothing tells the file system"
    # A later mount hides an earlier one at the same point.
    types = dict(found for line in lines if (found := _parse(line)))
    real = os.path.realpath(folder)
    above = max((point for point in types if _is_below(real, point)), key=len, default=None)
    if above is None:
        return f"no mount point is above {real}"
    for point in (above, *sorted(point for point in types if point != real and _is_below(point, real))):
        if types[point] not in LOCAL:
            return f"{point} is a file system of type {types[point]!r}"
    return None


def _parse(line: str) -> tuple[str, str] | None:
    """``36 35 98:0 /root /mnt/point options - ext4 source options``: mount point and type."""
    before, dash, after = line.partition(" - ")
    fields = before.split(" ")
    if not dash or len(fields) < 5 or not after:
        return None
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)), fields[4]), after.split(" ")[0]


def _is_below(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
