"""Commands as processes of their own, and the CPU time that each took: user and system, its children's too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = str(Path(sys.executable).with_name("dataseal"))
MODEL_SIGNING = Path(os.environ.get("DATASEAL_FOREIGN", ROOT / ".foreign")) / "oms" / "bin" / "model_signing"

HASH = """
import hashlib, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(folder, name), "rb") as stream:
            hashlib.file_digest(stream, "sha256")
"""
"""Plain hashing: one read of every file, nothing else."""


def cpu(command: Sequence[object], runs: int = 1) -> float:
    """Seconds of CPU of a command that must succeed: the least of some runs, since other work only adds."""
    return min(_once([str(word) for word in command]) for _ in range(runs))


def _once(command: list[str]) -> float:
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)[:200]} ended with {child.returncode}: {said.decode(errors='replace')[-2000:]}")
    return used.ru_utime + used.ru_stime


def hashing(folder: Path, runs: int = 1) -> float:
    """Plain hashing of a folder, without the interpreter's start."""
    start = cpu([sys.executable, "-c", "import hashlib, os, sys"], runs)
    return cpu([sys.executable, "-c", HASH, folder], runs) - start


def workspace(folder: Path) -> list[object]:
    """A new workspace; the options that name it."""
    cpu([PROGRAM, "init", folder])
    return ["--workspace", folder]
