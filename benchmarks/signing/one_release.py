"""What signing and verifying one release adds to hashing it, with a key.

    python benchmarks/signing/one_release.py [--mib 32] [--files 8]

The commands run as processes of their own, start and imports included, and in a process that has done it before, which
shows what the work itself takes. Figures are seconds of CPU, user and system, less plain hashing of the same files; the
second figure of a command is the part that an empty command (``dataseal --help``) takes too.

Limit (exit 1 when missed): the work itself takes less than 0.3 s, and no path with a key loads ``sigstore``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import PROGRAM, cpu, hashing, workspace

LIMIT = 0.3
RUNS = 3


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=32)
    parser.add_argument("--files", type=int, default=8)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="dataseal-bench-"))
    try:
        return measure(place, options.mib * 1024**2 // options.files, options.files)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(place: Path, size: int, files: int) -> int:
    """Measures in ``place``."""
    data, keys = place / "data", place / "ws" / "keys"
    data.mkdir()
    for number in range(files):
        (data / f"{number}.bin").write_bytes(os.urandom(size))
    at = workspace(place / "ws")
    # One chunk a file, so that the release hashes each byte once, as plain hashing does.
    chunk = max(64 * 1024, min(64 * 1024**2, 1 << (size - 1).bit_length()))
    sign = ["sign", data, "--dataset", "acme/one", "--release", "1.0.0", "--chunk-size", chunk, "-j", 1, *at]
    verify = ["verify", data, "--publisher", keys / "publisher.pub", "--log", keys / "log.vkey", "-j", 1, *at]
    base, nothing = hashing(data, RUNS), cpu([PROGRAM, "--help"], RUNS)
    print(f"{files} files, {files * size:,} bytes; plain hashing {base:.2f} s of CPU")
    print(f"{'over hashing':<20} {'process':>8} {'its start':>10} {'work itself':>12}")
    worst = 0.0
    for name, command in (("dataseal sign", sign), ("dataseal verify", verify)):
        process = cpu([PROGRAM, *command], RUNS) - base
        work = warm([str(word) for word in command], data)
        worst = max(worst, work)
        print(f"{name:<20} {process:>8.2f} {nothing:>10.2f} {work:>12.3f}")
    loaded = [name for name, command in (("sign", sign), ("verify", verify)) if loads_sigstore(command)]
    print(f"sigstore is loaded by: {', '.join(loaded) or 'none'}; limit {LIMIT} s for the work itself")
    return 0 if worst < LIMIT and not loaded else 1


def warm(command: list[str], data: Path) -> float:
    """CPU of a command in this process, which has run it before, less hashing the files here."""
    from contextlib import redirect_stdout
    from io import StringIO

    from dataseal.cli.main import _run

    def once() -> None:
        with redirect_stdout(StringIO()):
            if _run(command) != 0:
                sys.exit(f"{command[0]} failed")

    once()
    return best(once) - best(lambda: hash_all(data))


def hash_all(data: Path) -> None:
    """Plain hashing in this process."""
    for path in data.glob("*.bin"):
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def best(action: Callable[[], None]) -> float:
    """The least CPU of some runs."""
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def loads_sigstore(command: list[object]) -> bool:
    """Whether a command imports ``sigstore``."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PROGRAM, *map(str, command)], capture_output=True, text=True, check=True
    )
    return any(line.rpartition("|")[2].strip().split(".")[0] == "sigstore" for line in done.stderr.splitlines())


if __name__ == "__main__":
    sys.exit(main())
