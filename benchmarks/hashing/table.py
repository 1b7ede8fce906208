"""The speed of signing and verifying beside other programs, in one run: medians of CPU and wall, and memory.

    python benchmarks/hashing/table.py [--size 4096] [--files 20000] [--rounds 5] [--folder DIR]
                                       [--model-signing COMMAND]

Rounds take turns: every job and every peer once, then again, so that a busy minute of the machine hits all alike.
What is compared is CPU time, user and system; wall only where two threads are against one. Exits 1 when a limit is
missed, and 2 when a peer that a limit needs is not installed. Files lie in ``--folder`` (default: a temporary one; it
needs twice ``--size`` MiB) and in the page cache: disks are not measured.

Peers: `openssl dgst -sha256`, `rhash --sha256` (the quicker counts), `b3sum --num-threads 1`, Python's hashlib, and
`model_signing sign key` and `verify key` (``--model-signing``: where its command is). Peers are measured as processes;
ours and hashlib without the imports, which the table shows in a line of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.signers import keyfile

JOB = str(Path(__file__).with_name("job.py"))
MIB = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """One measurement: seconds, bytes."""

    cpu: float
    wall: float
    memory: float = 0
    start: float = 0


class Bench:
    """All measurements of one run, by name."""

    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments = folder, arguments
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.version = 0

    def data(self) -> None:
        """One file, 64 files, many small ones; each signed with both chunk hashes in a workspace of its own."""
        block = os.urandom(min(64, self.arguments.size // 64 or 1) * MIB)
        for hashed in ("sha256", "blake3"):
            workspaces.create(self.folder / f"ws-{hashed}")
        for name, count in (("one", 1), ("many", 64)):
            (self.folder / name).mkdir()
            for number in range(count):
                with (self.folder / name / f"{number:02}.bin").open("wb") as stream:
                    for _ in range(self.arguments.size * MIB // count // len(block)):
                        stream.write(block)
        (self.folder / "small").mkdir()
        for number in range(self.arguments.files):
            (self.folder / "small" / f"{number:05}.bin").write_bytes(os.urandom(20_000))
        keyfile.save(keyfile.generate(), self.folder / "model.key", None)
        time.sleep(2.1)  # files that changed just now are never believed by --fast

    def ours(self, job: str, data: str, *, jobs: int = 1, chunk_hash: str = "sha256") -> None:
        """Runs one of our jobs; a signing leaves the seal that the next verification checks."""
        self.version += 1
        done = subprocess.run(
            [sys.executable, JOB, job, str(self.folder / data), "--workspace", str(self.folder / f"ws-{chunk_hash}"),
             "--jobs", str(jobs), "--chunk-hash", chunk_hash, "--version", str(self.version)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        self.runs[f"{job} {data} {chunk_hash} j{jobs}"].append(Run(**json.loads(done.stdout)))

    def peer(self, name: str, *command: str) -> None:
        """Runs another program, if it is there."""
        if shutil.which(command[0]) is None:
            return
        wall = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0, command[:2]
        self.runs[name].append(Run(used.ru_utime + used.ru_stime, time.perf_counter() - wall, used.ru_maxrss * 1024))

    def round(self) -> None:
        """Everything once."""
        for data in ("one", "many"):
            files = sorted(str(p) for p in (self.folder / data).glob("*.bin"))
            self.peer(f"openssl {data}", "openssl", "dgst", "-sha256", *files)
            self.peer(f"rhash {data}", "rhash", "--sha256", *files)
            self.peer(f"b3sum {data}", "b3sum", "--num-threads", "1", *files)
            for chunk_hash in ("blake3", "sha256"):
                self.ours("sign", data, chunk_hash=chunk_hash)
                self.ours("verify", data, chunk_hash=chunk_hash)
            self.ours("verify", data, jobs=2)
        self.ours("hashlib", "small")
        self.ours("sign", "small")
        self.ours("verify", "small")
        self.ours("verify", "small", jobs=2)
        self.ours("fast", "small")
        self.ours("sparse", "small")
        small, made, key = str(self.folder / "small"), str(self.folder / "model.sig"), str(self.folder / "model.key")
        program = self.arguments.model_signing
        common = ("--signature", made, "--ignore-paths", f"{small}/.dataseal", small)
        self.peer("model_signing sign", program, "sign", "key", "--private_key", key, *common)
        self.peer(
            "model_signing verify", program, "verify", "key", "--public_key", key.replace(".key", ".pub"), *common
        )

    def warm(self) -> None:
        """Fills the page cache and the memory of ``--fast``, unmeasured."""
        self.ours("sign", "small")
        self.runs.clear()

    def cpu(self, name: str) -> float | None:
        """The median CPU of a job or a peer; None when it is not installed."""
        return statistics.median(r.cpu for r in self.runs[name]) if name in self.runs else None

    def wall(self, name: str) -> float:
        """The median wall time of a job."""
        return statistics.median(r.wall for r in self.runs[name])

    def memory(self, *parts: str) -> float:
        """The largest peak memory of our jobs whose name has one of ``parts``."""
        return max(r.memory for name, runs in self.runs.items() for r in runs if name.split()[0] in parts)


@dataclass(frozen=True)
class Line:
    """One limit: what was measured, and whether it holds; None when a peer is missing."""

    what: str
    value: float | None
    limit: float
    unit: str = "x"

    @property
    def word(self) -> str:
        """``ok``, ``MISSED``, or that a peer is missing."""
        return "peer missing" if self.value is None else "ok" if self.value <= self.limit else "MISSED"


def lines(bench: Bench) -> list[Line]:
    """The table of limits."""

    def ratio(job: str, *peers: str) -> float | None:
        ours, theirs = bench.cpu(job), [c for p in peers if (c := bench.cpu(p))]
        return ours / min(theirs) if ours is not None and theirs else None

    found = []
    for data, said in (("one", "one file"), ("many", "64 files")):
        single = (f"openssl {data}", f"rhash {data}")
        found += [
            Line(f"verify {said}: CPU / SHA-256 of the files", ratio(f"verify {data} sha256 j1", *single), 1.10),
            Line(
                f"verify {said}: wall of two threads / one",
                bench.wall(f"verify {data} sha256 j2") / bench.wall(f"verify {data} sha256 j1"),
                0.60,
            ),
            Line(f"sign {said}: CPU / SHA-256", ratio(f"sign {data} sha256 j1", *single), 1.95),
            Line(f"sign {said}, blake3: CPU / SHA-256", ratio(f"sign {data} blake3 j1", *single), 1.35),
            Line(f"verify {said}, blake3: CPU / SHA-256", ratio(f"verify {data} blake3 j1", *single), 0.45),
            Line(f"verify {said}, blake3: CPU / b3sum", ratio(f"verify {data} blake3 j1", f"b3sum {data}"), 1.3),
        ]
    for job in ("verify", "sign"):
        mine = f"{job} small sha256 j1"
        found.append(Line(f"{job} small files: CPU / hashlib", ratio(mine, "hashlib small sha256 j1"), 1.6))
        found.append(Line(f"{job} small files: CPU / model_signing", ratio(mine, f"model_signing {job}"), 0.125))
    found.append(Line("verify --fast small files, warm: CPU", bench.cpu("fast small sha256 j1"), 0.3, "s"))
    found.append(Line("memory of any of these", bench.memory("verify", "sign", "fast") / 1e6, 300, "MB"))
    found.append(Line("memory of a 1 TB file's manifest", bench.memory("sparse") / 1e6, 1000, "MB"))
    return found


def report(bench: Bench) -> int:
    """Prints both tables; the exit code."""
    print(f"{'medians of ' + str(bench.arguments.rounds):<34} {'CPU s':>8} {'wall s':>8} {'MB':>6}")
    for name in sorted(bench.runs):
        memory = max(r.memory for r in bench.runs[name]) / 1e6
        print(f"{name:<34} {bench.cpu(name):>8.3f} {bench.wall(name):>8.3f} {memory:>6.0f}")
    start = statistics.median(r.start for name, runs in bench.runs.items() for r in runs if name.startswith("verify"))
    print(f"{'(imports of a verification)':<34} {start:>8.3f}")
    found = lines(bench)
    print(f"\n{'limit':<52} {'measured':>10} {'at most':>8}")
    for line in found:
        value = "-" if line.value is None else f"{line.value:.3f}" if line.unit != "MB" else f"{line.value:.0f}"
        print(f"{line.what:<52} {value:>8} {line.unit:<2} {line.limit:>7g}  {line.word}")
    words = {line.word for line in found}
    return 1 if "MISSED" in words else 2 if "peer missing" in words else 0


def main() -> int:
    """Runs the rounds and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="MiB of the one file, and of the 64 together")
    parser.add_argument("--files", type=int, default=20_000, help="how many small files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where a temporary folder is made")
    parser.add_argument("--model-signing", metavar="COMMAND", default="model_signing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        bench = Bench(Path(folder), arguments)
        bench.data()
        bench.warm()
        for _ in range(arguments.rounds):
            bench.round()
        return report(bench)


if __name__ == "__main__":
    sys.exit(main())
