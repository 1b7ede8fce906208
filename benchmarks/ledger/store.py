"""The ledger's store against raw SQLite in the same run: durable appends, single appends, proofs, check, size.

    python benchmarks/ledger/store.py [--folder DIR] [--entries 100000] [--large 10000000] [--quick]

Entries are prepared beforehand: real bundles of 2 KB over statements of distinct roots and tables (the worst case for
lookups), no signature made or verified. What is timed is what a writer does under its lock: headers and links, leaf
hashes, segments, lookups, tiles, root and head, one transaction with ``synchronous=FULL`` a batch. ``raw`` is the same
bytes by ``sqlite3.executemany`` into ``(INTEGER PRIMARY KEY, BLOB)``, one row an entry, with the same durability and
the same batches. The large log has small made-up entries inserted without lookups, so that it is built in minutes: its
tiles and its proofs are those of any log of that size.

Limits (exit 1 when one is missed): entries/s in batches of 256 and of 4096, a single append against a raw insert and
commit, an inclusion proof from the large log, `ledger check` without signatures, bytes beyond the entries' own, growth
of the writer's memory. The machine may be shared: CPU time an entry stands beside each rate.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dataseal.ledger import audit
from dataseal.ledger import bundle as bundles
from dataseal.ledger import entry as entries
from dataseal.ledger import statement as statements
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.batch import Batch, Offer
from dataseal.ledger.credential import Signer
from dataseal.ledger.digest import sha256
from dataseal.ledger.log import Log
from dataseal.ledger.signers import keyfile
from dataseal.ledger.statement import Statement
from dataseal.ledger.store import segments
from dataseal.ledger.store.models import SEGMENTS
from dataseal.ledger.store.store import Store, View
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.verify import VerifiedStatement

ENTRY = 2048
KIND = "receipt"
ORIGIN = "bench.example/log"

LIMITS: dict[str, tuple[str, float]] = {
    "batches of 256": (">=", 15_000),
    "batches of 4096": (">=", 25_000),
    "single append / raw": ("<=", 1.5),
    "inclusion proof, ms": ("<", 1.0),
    "check, entries/s": (">=", 100_000),
    "overhead, bytes an entry": ("<", 125),
    "writer's growth, MiB": ("<", 16),
}


class Spent(NamedTuple):
    """Seconds by the clock and of CPU."""

    wall: float
    cpu: float


@contextmanager
def timed(out: list[Spent]) -> Iterator[None]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    out.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))


class Bench:
    """Prepared statements, and logs to put them in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = keyfile.generate("ed25519")
        self.publisher = keyfile.generate()
        self.key = self.publisher.public
        self.signer = Signer(self.key.fingerprint, self.key.scheme, self.key.label, self.key.fingerprint)
        self.admission = Admission([Rule(("*",), (KIND,), (self.key,))])
        self._made = 0
        self._logs = 0

    def statements(self, count: int) -> list[Offer]:
        """What `verify_bundle` would give, of bundles that make entries of 2 KB."""
        made = []
        for number in range(self._made, self._made + count):
            root, table = sha256(b"root %d" % number).hex(), sha256(b"table %d" % number).hex()
            filling = sha256(b"filling %d" % number).hex() * 12
            version = statements.state_version(root)
            subject = {"dataset": f"bench/set-{number % 50}", "version": version, "table": table, "root": root}
            payload = statements.encode(statements.VSA, {"note": filling}, **subject)
            parsed = Statement(payload, statements.VSA, KIND, predicate={}, **subject)
            bundle = bundles.encode(payload, os.urandom(70), self.key)
            made.append(Offer(VerifiedStatement(parsed, self.signer, self.key, bundle)))
        self._made += count
        gc.collect()
        gc.freeze()  # what stands ready is not the writer's garbage to look through
        return made

    def log(self) -> Log:
        """A fresh log."""
        self._logs += 1
        private = self.signer.private
        note = Ed25519Signer(ORIGIN, private)  # type: ignore[arg-type]
        store = Store.create(self.folder / f"{self._logs}.sqlite", origin=ORIGIN, log_key=note.vkey)
        return Log(store, origin=ORIGIN, signers=[note], admission=self.admission)

    def append(self, log: Log, group: Sequence[Offer]) -> None:
        """One transaction, as `Log` makes it between verification and signing."""
        with log.store.appending() as view:
            batch = Batch(view, self.admission, lambda: datetime.now(UTC), log._memory)
            batch.expect([group])
            batch.add(group)
            head = view.insert(batch.rows)
        log._memory.learn(head, batch)

    def raw(self) -> sqlite3.Connection:
        """A table as somebody would make who needs no log."""
        self._logs += 1
        connection = sqlite3.connect(self.folder / f"raw{self._logs}.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, body BLOB)")
        return connection


def insert(connection: sqlite3.Connection, bodies: Sequence[bytes]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO entries (body) VALUES (?)", [(body,) for body in bodies])
    connection.execute("COMMIT")


def batches(bench: Bench, size: int, count: int) -> tuple[Log, float]:
    """Prints the rate of batches of ``size``; returns the log and its entries a second."""
    log, raw = bench.log(), bench.raw()
    ours: list[Spent] = []
    theirs: list[Spent] = []
    for _ in range(max(1, count // size)):
        group = bench.statements(size)
        with timed(ours):
            bench.append(log, group)
        bodies = [b"x" * (ENTRY - len(v.verified.bundle)) + v.verified.bundle for v in group]
        with timed(theirs):
            insert(raw, bodies)
    done = len(ours) * size
    wall, cpu = (sum(getattr(s, name) for s in ours) for name in ("wall", "cpu"))
    raw_wall = sum(s.wall for s in theirs)
    print(
        f"batches of {size:<5} {done / wall:>9,.0f} entries/s   CPU {cpu / done * 1e6:5.1f} µs an entry = "
        f"{done / cpu:,.0f}/s of CPU   raw sqlite3 {done / raw_wall:>9,.0f}/s   ours/raw time {wall / raw_wall:.2f}"
    )
    return log, done / wall


def singles(bench: Bench, count: int) -> float:
    """Prints single appends against a raw insert and commit; returns the ratio of their medians."""
    log, raw = bench.log(), bench.raw()
    ours: list[Spent] = []
    theirs: list[Spent] = []
    for verified in bench.statements(count):  # in turn: a disk's mood meets both
        wall, cpu = time.perf_counter(), time.process_time()
        bench.append(log, [verified])
        ours.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))
        wall, cpu = time.perf_counter(), time.process_time()
        insert(raw, [verified.verified.bundle])
        theirs.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))
    mine, other = median(s.wall for s in ours), median(s.wall for s in theirs)
    print(
        f"single appends    {mine * 1e3:.2f} ms (CPU {median(s.cpu for s in ours) * 1e3:.2f})"
        f"   raw {other * 1e3:.2f} ms (CPU {median(s.cpu for s in theirs) * 1e3:.2f})   ratio {mine / other:.2f}"
    )
    return mine / other


def overhead(log: Log) -> float:
    """Bytes of the database beyond its entries', an entry."""
    path = Path(log.store._engine.raw_connection().execute("PRAGMA database_list").fetchone()[2])  # type: ignore[attr-defined]
    with log.store.view() as view:
        count, own = view.count(), sum(t.bytes for t in view.tally())
    log.store.close()
    used = path.stat().st_size
    print(f"size              {used / 1e6:,.1f} MB for {own / 1e6:,.1f} MB of entries")
    return (used - own) / count


def checked(log: Log) -> float:
    """Prints the rate of `ledger check` without signatures."""
    spent: list[Spent] = []
    log.checkpoint()
    with timed(spent):
        result = audit.check(log, signatures=False)
    assert result.clean, result.problems[:3]
    rate = result.entries / spent[0].wall
    print(f"check             {rate:,.0f} entries/s   CPU {spent[0].cpu / result.entries * 1e6:.1f} µs an entry")
    return rate


def large(bench: Bench, size: int) -> tuple[float, float]:
    """Builds a log of ``size`` small entries; returns a proof's milliseconds and the writer's growth in MiB."""
    log = bench.log()
    batch = 65_536
    header = entries.Header(KIND, "bench/large", "2026-01-02T03:04:05Z", None, None).encode()
    early = 0
    started = time.perf_counter()
    for first in range(0, size, batch):
        rows = range(first, min(size, first + batch))
        with log.store.appending() as view:
            _insert_bare(view, first, [b"%b\n%d" % (header, n) for n in rows])
        early = early or (_resident() if first >= 4 * batch else 0)
    growth = (_resident() - early) / 2**20 if early else 0.0
    print(
        f"large log         {size:,} small entries in {time.perf_counter() - started:.0f} s; "
        f"the writer grew {growth:.1f} MiB"
    )
    times = []
    with log.store.view() as view:
        root = view.head().root
    for step in range(200):
        index = (step * 7_919_993) % size
        started = time.perf_counter()
        with log.store.view() as view:  # a view of its own: nothing is cached
            proof = merkle.prove_inclusion(view, size=size, index=index)
        times.append(time.perf_counter() - started)
        leaf = merkle.leaf_hash(b"%b\n%d" % (header, index))
        merkle.verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)
    started = time.perf_counter()
    for _ in range(1000):
        merkle.verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)
    verification = (time.perf_counter() - started) * 1e3
    print(f"proofs            {median(times) * 1e3:.2f} ms to make (median of 200), {verification:.0f} µs to verify")
    return median(times) * 1e3, growth


def _insert_bare(view: View, first: int, bodies: list[bytes]) -> None:
    """Segments, tiles and a head, as `View.insert` makes them, and nothing that leads to entries."""
    edge, values = view._edge(), []
    for start, count in segments.cut(first, len(bodies)):
        part = bodies[start - first : start - first + count]
        values.append((start, count, segments.encode_names([0] * count), segments.encode(part)))
    view._driver.insert(SEGMENTS, values)
    view._extend(edge, [merkle.leaf_hash(body) for body in bodies])


def _resident() -> int:
    with Path("/proc/self/statm").open() as stream:
        return int(stream.read().split()[1]) * resource.getpagesize()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="where the databases go: a disk, not a memory file system")
    parser.add_argument("--entries", type=int, default=100_000, help="entries of each batch size")
    parser.add_argument("--large", type=int, default=10_000_000, help="entries of the large log; 0 leaves it out")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder))
        log, found["batches of 256"] = batches(bench, 256, options.entries // share)
        found["check, entries/s"] = checked(log)
        found["overhead, bytes an entry"] = overhead(log)
        _, found["batches of 4096"] = batches(bench, 4096, options.entries // share)
        found["single append / raw"] = singles(bench, 500 // share)
        if options.large:
            found["inclusion proof, ms"], found["writer's growth, MiB"] = large(bench, options.large // share)
    missed = 0
    compare: dict[str, Callable[[float, float], bool]] = {
        ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "<": lambda a, b: a < b,
    }  # fmt: skip
    for name, value in found.items():
        sign, limit = LIMITS[name]
        held = compare[sign](value, limit)
        missed += not held
        print(f"{'ok  ' if held else 'MISS'}  {name}: {value:,.2f} (limit {sign} {limit:,})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
