"""A power cut while files are written: what the disk may hold afterwards, when only what was synced is sure.

Records what `dataseal.ledger.durable` asks of the system. After a cut behind step n, a name is there if its folder was
synced after the rename; one that was not may be there or not (a file system writes names in any order), and a file that
was not synced before its rename may be cut short. `after` makes the folder for one such disk.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import durable


class PowerCut(BaseException):
    """Nothing runs any more: not even the code that would clean up."""


@dataclass
class Disk:
    """What was asked, in order: ``("rename", path, bytes, synced)`` and ``("folder", path)``."""

    steps: list[tuple[Any, ...]] = field(default_factory=list)

    def record(self, patch: pytest.MonkeyPatch) -> None:
        """Listens to the system calls; nothing waits for a real disk."""
        real_replace = os.replace
        synced: set[int] = set()

        def fsync(descriptor: int) -> None:
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):
                self.steps.append(("folder", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
            else:
                synced.add(os.fstat(descriptor).st_ino)

        def replace(source: Path, target: Path) -> None:
            done = os.stat(source).st_ino in synced
            real_replace(source, target)
            self.steps.append(("rename", Path(target).resolve(), Path(target).read_bytes(), done))

        patch.setattr(durable, "os", Patched(fsync=fsync, replace=replace))

    def after(self, cut: int, folder: Path, before: dict[str, bytes], to: Path, seed: int) -> None:
        """Makes ``to`` what ``folder`` may be after a cut behind step ``cut``; ``before`` is what it held at first."""
        chance = random.Random(seed)
        shutil.rmtree(to, ignore_errors=True)
        held = dict(before)
        for number, step in enumerate(self.steps[:cut]):
            if step[0] != "rename":
                continue
            path, data, synced = step[1:]
            sure = any(s[0] == "folder" and s[1] == path.parent for s in self.steps[number:cut])
            if sure or chance.random() < 0.5:
                held[str(path.relative_to(folder.resolve()))] = data if synced else data[: len(data) // 2]
        for name, data in held.items():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(data)


class Patched:
    """The module `os`, with some functions replaced."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        return self._functions.get(name) or getattr(os, name)
