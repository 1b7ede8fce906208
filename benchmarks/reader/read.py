"""What verified reading costs: the same Parquet dataset through pyarrow alone and through the verified reader.

    python benchmarks/reader/read.py [--shards 12] [--rows 30000] [--rounds 5]

Shards of text and numbers (zstd, 4 MiB chunks) are written and signed, some with small row groups and some with one of
about a chunk's size; then, in turns and each in a process of its own with two threads and a warm page cache:

- *scan*: all columns of the shards with small row groups, as record batches;
- *groups*: row groups of the other shards at random, whole, from open files, with a cache smaller than the dataset;
- *columns*: one column of a row group at random; and *small groups*: one of the small ones, whole. A chunk is checked
  whole, however little of it is wanted: these two show the price of 4 MiB chunks, and have no limit. Sign with smaller
  chunks for such a use.

Medians of wall and CPU seconds; throughput is the shards' bytes by wall time; memory is the process's peak.

Limits (exit 1 when missed): the scan has at least 0.7 x the plain scan's throughput, row groups take at most 1.5 x the
plain time, and no verified process has more than 300 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SCAN, GROUPS, MEMORY = 0.7, 1.5, 300.0
PICKS = 60


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=12)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "FOLDER", "TRUST"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(worker(*options.worker)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = f"{folder}/state"  # what is verified here is not worth remembering
        words = ["--shards", str(options.shards), "--rows", str(options.rows), "--worker", "make", folder, "{}"]
        made = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
        return compare(Path(folder), json.loads(made.stdout)["trust"], options.rounds)


def compare(folder: Path, trust: dict[str, str], rounds: int) -> int:
    """Runs the processes in turns, and prints the table."""
    scanned = list((folder / "data" / "small").iterdir())
    size = sum(f.stat().st_size for f in scanned)
    print(f"2 x {len(scanned)} shards, {size / 1e6:,.0f} MB each; two threads; {rounds} rounds")
    print(f"{'':<12} {'':<9} {'wall s':>8} {'CPU s':>8} {'MB/s':>7} {'peak MB':>8}   ratio")
    missed = []
    for job in ("scan", "groups", "columns", "small groups"):
        runs: dict[str, list[dict[str, float]]] = {"plain": [], "verified": []}
        for _ in range(rounds):
            for kind, results in runs.items():
                command = [sys.executable, __file__, "--worker", f"{kind}-{job}", str(folder), json.dumps(trust)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                results.append(json.loads(done.stdout))
        wall = {kind: statistics.median(r["wall"] for r in results) for kind, results in runs.items()}
        for kind, results in runs.items():
            cpu, peak = (statistics.median(r[what] for r in results) for what in ("cpu", "peak"))
            rate = f"{size / 1e6 / wall[kind]:7,.0f}" if job == "scan" else f"{'':>7}"
            ratio = wall["plain"] / wall["verified"] if job == "scan" else wall["verified"] / wall["plain"]
            shown = f"{ratio:.2f} x the plain {'throughput' if job == 'scan' else 'time'}"
            base = statistics.median(r["cpu"] for r in runs["plain"])
            shown = f"{shown}, {cpu / base:.2f} x its CPU" if kind == "verified" else ""
            print(f"{job:<12} {kind:<9} {wall[kind]:8.3f} {cpu:8.3f} {rate} {peak:8.0f}   {shown}")
            if kind == "verified":
                if (job == "scan" and ratio < SCAN) or (job == "groups" and ratio > GROUPS):
                    missed.append(f"{job}: {ratio:.2f}")
                if max(r["peak"] for r in results) > MEMORY:
                    missed.append(f"{job}: {peak:.0f} MB")
    print("limits missed: " + ", ".join(missed) if missed else "all limits met")
    return 1 if missed else 0


def worker(kind: str, folder: str, trust: str) -> dict[str, Any]:
    """One measurement in this process, or the making of the data."""
    if kind == "make":
        return make(Path(folder))
    import pyarrow as pa

    pa.set_cpu_count(2)
    how, job = kind.split("-")
    part = "small" if job in ("scan", "small groups") else "large"
    names = sorted(f"{part}/{f.name}" for f in (Path(folder) / "data" / part).iterdir())
    opened = None
    if how == "verified":
        from dataseal.verifiers import open_dataset

        opened = open_dataset(Path(folder) / "data", **json.loads(trust))
    actions = {
        "scan": scan,
        "groups": lambda *a: pick(*a, columns=None),
        "small groups": lambda *a: pick(*a, columns=None),
        "columns": lambda *a: pick(*a, columns=["score"]),
    }
    action: Callable[..., None] = actions[job]
    action(Path(folder) / "data", names, opened)  # imports, pyarrow's threads, and memory that it keeps
    if opened:
        opened.close()  # no chunk is kept from that
    start, busy = time.perf_counter(), time.process_time()
    action(Path(folder) / "data", names, opened)
    wall, cpu = time.perf_counter() - start, time.process_time() - busy
    return {"wall": wall, "cpu": cpu, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def scan(folder: Path, names: list[str], opened: Any) -> None:
    """Every batch of every shard."""
    import pyarrow.dataset as ds

    paths = names if opened else [str(folder / name) for name in names]
    data = ds.dataset(paths, format="parquet", **({"filesystem": opened.fs} if opened else {}))
    for batch in data.to_batches(batch_readahead=2, fragment_readahead=1):
        del batch


def pick(folder: Path, names: list[str], opened: Any, *, columns: list[str] | None) -> None:
    """Row groups at random, the same ones each time."""
    import random

    import pyarrow.parquet as pq

    files = [pq.ParquetFile(opened.open(name) if opened else folder / name) for name in names]
    choose = random.Random(1)
    for _ in range(PICKS):
        file = choose.choice(files)
        file.read_row_group(choose.randrange(file.metadata.num_row_groups), columns=columns)


def make(folder: Path) -> dict[str, Any]:
    """Writes and signs the dataset."""
    import contextlib
    import io

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dataseal.cli.main import _run

    def option(name: str) -> int:
        return int(sys.argv[sys.argv.index(name) + 1])

    noise, rows = np.random.default_rng(1), option("--rows")
    words = np.array([noise.bytes(6).hex()[: int(noise.integers(3, 12))] for _ in range(20_000)])

    def texts() -> Iterator[str]:
        for line in np.minimum(noise.zipf(1.2, size=(rows, 60)) - 1, len(words) - 1):
            yield " ".join(words[line])

    text = pa.array(texts())
    for part, group in (("small", rows // 6), ("large", rows)):
        (folder / "data" / part).mkdir(parents=True)
        for number in range(option("--shards")):
            order = pa.array(noise.permutation(rows))
            scores, labels = noise.random(rows), noise.integers(0, 2, rows)
            table = pa.table({"id": order, "text": text.take(order), "label": labels, "score": scores})
            pq.write_table(
                table, folder / "data" / part / f"{number:03}.parquet", row_group_size=group, compression="zstd"
            )
    with contextlib.redirect_stdout(io.StringIO()):
        sign = ["sign", str(folder / "data"), "--dataset", "acme/bench", "--release", "1", "--workspace"]
        for command in (["init", str(folder / "ws")], [*sign, str(folder / "ws")]):
            if _run(command):
                raise SystemExit("the data could not be signed")
    keys = folder / "ws" / "keys"
    return {"trust": {"publisher": str(keys / "publisher.pub"), "log": str(keys / "log.vkey"), "dataset": "acme/bench"}}


if __name__ == "__main__":
    sys.exit(main())
