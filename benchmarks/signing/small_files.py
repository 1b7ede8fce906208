"""Many small files: signing and verifying them, beside the reference implementation of OMS on the same folder.

    python benchmarks/signing/small_files.py [--files 20000]

Plain hashing (every file is read and hashed, no more), ``dataseal sign`` and ``verify`` (release, log entry, proof and
the OMS signature), and ``model_signing sign key`` and ``verify key``, each as a process of its own. Figures are
seconds of CPU, user and system, and their ratio to plain hashing. The reference comes from ``.ci/foreign``.

Limit (exit 1 when missed): each of ours takes at most a tenth of theirs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from processes import MODEL_SIGNING, PROGRAM, cpu, hashing, workspace

SHARE = 0.1
A_FOLDER = 500


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    options = parser.parse_args()
    if not MODEL_SIGNING.exists():
        print(f"no {MODEL_SIGNING}: run .ci/foreign first", file=sys.stderr)
        return 2
    place = Path(tempfile.mkdtemp(prefix="dataseal-bench-"))
    try:
        return measure(place, options.files)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def measure(place: Path, files: int) -> int:
    """Measures in ``place``."""
    noise, total = random.Random(4), 0
    for number in range(files):
        path = place / "data" / f"part-{number // A_FOLDER:03}" / f"{number:06}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        total += path.write_bytes(noise.randbytes(noise.randrange(500, 4000)))
    at = workspace(place / "ws")
    keys = place / "ws" / "keys"
    print(f"{files:,} files, {total:,} bytes")
    base = hashing(place / "data", 2)
    print(f"{'':<24} {'CPU s':>8} {'of hashing':>11}\n{'plain hashing':<24} {base:>8.2f} {1:>11.1f}")

    def run(name: str, *command: object) -> float:
        took = cpu(command)
        print(f"{name:<24} {took:>8.2f} {took / base:>11.1f}")
        return took

    signature = place / "model.sig"
    theirs = [
        run("model_signing sign", MODEL_SIGNING, "sign", "key", place / "data", "--signature", signature,
            "--private_key", keys / "publisher.key"),
        run("model_signing verify", MODEL_SIGNING, "verify", "key", place / "data", "--signature", signature,
            "--public_key", keys / "publisher.pub"),
    ]  # fmt: skip
    trust = ("--publisher", keys / "publisher.pub")
    ours = [
        run("dataseal sign", PROGRAM, "sign", place / "data", "--dataset", "acme/small", "--release", "1.0.0", *at),
        run("dataseal verify", PROGRAM, "verify", place / "data", *trust, "--log", keys / "log.vkey", *at),
    ]
    run("dataseal verify --oms", PROGRAM, "verify", place / "data", "--oms",
        place / "data" / ".dataseal" / "oms.sigstore.json", *trust)  # fmt: skip
    shares = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(f"of theirs: sign {shares[0]:.3f}, verify {shares[1]:.3f}; limit {SHARE}")
    return 0 if max(shares) <= SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
