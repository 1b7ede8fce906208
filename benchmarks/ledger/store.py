"""The ledger's store against raw SQLite in the same run: durable appends, single appends, proofs, check, size.

    python benchmarks/ledger/store.py [--folder DIR] [--entries 100000] [--signed 20000] [--large 10000000] [--quick]
                                      [--postgres URL]

Entries are prepared beforehand: real bundles of 2 KB over statements of distinct roots and tables (the worst case for
lookups), no signature made or verified. What is timed is what a writer does under its lock: headers and links, leaf
hashes, segments, lookups, tiles, root and head, one transaction with ``synchronous=FULL`` a batch. ``raw`` is the same
bytes by ``sqlite3.executemany`` into ``(INTEGER PRIMARY KEY, BLOB)``, one row an entry, with the same durability and
the same batches.

Single appends are timed in turn with raw inserts, once the WAL was filled (a file that need not grow is what a log
that lives for long commits to). A disk's share of a commit differs more than anything else here: the fsync of an
enterprise disk or of a virtual one with a cache is short, that of a laptop's takes milliseconds. So beside the ratio
stands what one ``fdatasync`` took here, and, by arithmetic alone, what the ratio is where it takes a millisecond.
``Log.append`` whole (signature verified, checkpoint signed and stored in a second transaction) is told, and not judged.

``check`` is `ledger check` without signatures; of a log with real ECDSA signatures also with them, by one process and
by one a core. The large log has small made-up entries that are linked as real ones are, and inserted without lookups,
so that it is built in minutes: its tiles, heads and proofs are those of any log of that size, and the check runs over
it too. On PostgreSQL (a database at --postgres, made for this) the same batches and single appends are told.

Limits (exit 1 when one is missed): entries/s in batches of 256 and of 4096, a single append against a raw insert and
commit, an inclusion proof from the large log and its verification, the check, bytes beyond the entries' own, growth of
the writer's and of the check's memory over the large log. The machine may be shared: CPU time stands beside each rate.
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
from typing import Any, NamedTuple

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
from dataseal.ledger.store.models import NAMES, SEGMENTS
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
    "verification, µs": ("<", 50),
    "check, entries/s": (">=", 100_000),
    "overhead, bytes an entry": ("<", 125),
    "writer's growth, MiB": ("<", 16),
    "check's growth, MiB": ("<", 16),
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
        self.log_key = keyfile.generate("ed25519")
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

    def bundles(self, count: int) -> list[bytes]:
        """The same, signed."""
        sign = self.publisher.sign
        prepared = (offer.statement.payload for offer in self.statements(count))
        return [bundles.encode(p, sign(bundles.pae(statements.PAYLOAD_TYPE, p)), self.key) for p in prepared]

    def log(self, where: str | None = None) -> Log:
        """A fresh log."""
        self._logs += 1
        private = self.log_key.private
        note = Ed25519Signer(ORIGIN, private)  # type: ignore[arg-type]
        store = Store.create(where or self.folder / f"{self._logs}.sqlite", origin=ORIGIN, log_key=note.vkey)
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
    warm = 256  # by then both have gone through their WAL once
    for number, verified in enumerate(bench.statements(warm + count)):  # in turn: a disk's mood meets both
        wall, cpu = time.perf_counter(), time.process_time()
        bench.append(log, [verified])
        ours.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))
        with log.store.view() as view:
            body = view.bodies(number)[0]
        wall, cpu = time.perf_counter(), time.process_time()
        insert(raw, [body])
        theirs.append(Spent(time.perf_counter() - wall, time.process_time() - cpu))
    ours, theirs = ours[warm:], theirs[warm:]
    mine, other = (median(s.wall for s in spent) for spent in (ours, theirs))
    print(
        f"single appends    {mine * 1e3:.2f} ms (CPU {median(s.cpu for s in ours) * 1e3:.2f})"
        f"   raw {other * 1e3:.2f} ms (CPU {median(s.cpu for s in theirs) * 1e3:.2f})   ratio {mine / other:.2f}"
    )
    slower = max(0.0, 1e-3 - (disk := fsync(bench.folder)))
    print(
        f"                  fdatasync alone {disk * 1e3:.2f} ms; where it takes 1 ms, the ratio would be "
        f"{(mine + slower) / (other + slower):.2f}"
    )
    whole: list[Spent] = []
    for bundle in bench.bundles(100):
        with timed(whole):
            log.append([bundle])
    print(f"Log.append        {median(s.wall for s in whole) * 1e3:.2f} ms, verified and its checkpoint signed")
    return mine / other


def fsync(folder: Path) -> float:
    """Seconds that it takes to write a page into the middle of a file and to have it on the disk: the median."""
    times = []
    with (folder / "fsync").open("w+b", buffering=0) as file:
        file.write(bytes(4096 * 1024))
        os.fsync(file.fileno())
        for page in range(200):
            os.pwrite(file.fileno(), b"x" * 4096, 4096 * page)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return median(times)


def overhead(log: Log) -> float:
    """Bytes of the database beyond its entries', an entry."""
    with log.store.view() as view:
        path = Path(view._connection.exec_driver_sql("PRAGMA database_list").one()[2])
        count, own = view.count(), sum(t.bytes for t in view.tally())
    log.store.close()
    used = path.stat().st_size
    print(f"size              {used / 1e6:,.1f} MB for {own / 1e6:,.1f} MB of entries")
    return (used - own) / count


def checked(log: Log, name: str = "check", **options: Any) -> float:
    """Prints the rate of `ledger check`; returns it."""
    spent: list[Spent] = []
    log.checkpoint()
    with timed(spent):
        result = audit.check(log, **options)
    assert result.clean, result.problems[:3]
    rate = result.entries / spent[0].wall
    print(f"{name:<17} {rate:,.0f} entries/s   CPU {spent[0].cpu / result.entries * 1e6:.1f} µs an entry")
    return rate


def signed(bench: Bench, count: int) -> None:
    """Prints the rate of `ledger check` over real signatures."""
    log = bench.log()
    made = bench.bundles(count)
    for first in range(0, count, 1000):
        log.append(made[first : first + 1000])
    checked(log, "check, signatures", jobs=1)
    checked(log, f" by {os.cpu_count()} processes", jobs=os.cpu_count())  # whose CPU time is not this one's


def postgres(bench: Bench, where: str, count: int) -> None:
    """Prints the rates of the same appends in a PostgreSQL database, which is left behind."""
    log = bench.log(where)
    for size in (256, 1):
        spent: list[Spent] = []
        for _ in range(max(20, count // 5 // size) if size > 1 else 200):
            group = bench.statements(size)
            with timed(spent):
                bench.append(log, group)
        wall, cpu = median(s.wall for s in spent) / size, median(s.cpu for s in spent) / size
        print(
            f"PostgreSQL, {size:<5} {1 / wall:,.0f} entries/s   CPU {cpu * 1e6:.1f} µs an entry, the server's not in it"
        )
    checked(log, "PostgreSQL, check", signatures=False)


def large(bench: Bench, size: int) -> dict[str, float]:
    """Builds a log of ``size`` small entries; returns what it shows, by the names of `LIMITS`."""
    log = bench.log()
    batch, early, chain = 65_536, 0, _Chain()
    started = time.perf_counter()
    for first in range(0, size, batch):
        with log.store.appending() as view:
            _insert_bare(view, first, chain.extend(first, min(batch, size - first)))
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
        with log.store.view() as view:
            (leaf,) = view.read([(0, index)])
        merkle.verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)
    started = time.perf_counter()
    for _ in range(1000):
        merkle.verify_inclusion(index=index, size=size, leaf=leaf, proof=proof, root=root)
    verification = (time.perf_counter() - started) * 1e3
    print(f"proofs            {median(times) * 1e3:.2f} ms to make (median of 200), {verification:.0f} µs to verify")
    found = {"inclusion proof, ms": median(times) * 1e3, "verification, µs": verification}
    seen: list[int] = []

    def progress(count: int) -> None:
        seen[:] = [seen[0] + count, seen[1] or _resident() * (seen[0] > size // 10)] if seen else [count, 0]

    log.checkpoint()
    started = time.perf_counter()
    result = audit.check(log, progress, signatures=False)
    assert result.clean, result.problems[:3]
    grown = (_resident() - seen[1]) / 2**20 if seen[1] else 0.0
    print(
        f"check of it       {size / (time.perf_counter() - started):,.0f} entries/s; "
        f"it grew {grown:.1f} MiB after its first tenth"
    )
    return found | {"writer's growth, MiB": growth, "check's growth, MiB": grown}


class _Chain:
    """Small entries, linked as the log links its own."""

    def __init__(self) -> None:
        self._link: entries.Link | None = None

    def extend(self, first: int, count: int) -> list[bytes]:
        bodies = []
        for index in range(first, first + count):
            link = self._link
            header = entries.Header(KIND, "bench/large", "2026-01-02T03:04:05Z", link.leaf if link else None, link)
            body = b"%b\n%d" % (header.encode(), index)
            bodies.append(body)
            self._link = entries.Link(index, merkle.leaf_hash(body))
        return bodies


def _insert_bare(view: View, first: int, bodies: list[bytes]) -> None:
    """Segments, tiles and a head, as `View.insert` makes them, and nothing that leads to entries but a name."""
    edge, values = view._edge(), []
    if not first:
        view._driver.insert(NAMES, [(1, "bench/large", KIND, "nobody")])
    for start, count in segments.cut(first, len(bodies)):
        part = bodies[start - first : start - first + count]
        values.append((start, count, segments.encode_names([1] * count), segments.encode(part)))
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
    parser.add_argument("--signed", type=int, default=20_000, help="entries with real signatures; 0 leaves them out")
    parser.add_argument("--postgres", metavar="URL", help="an empty database, which is filled")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    options = parser.parse_args()
    share = 10 if options.quick else 1
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        bench = Bench(Path(folder))
        log, found["batches of 256"] = batches(bench, 256, options.entries // share)
        found["check, entries/s"] = checked(log, signatures=False)
        found["overhead, bytes an entry"] = overhead(log)
        _, found["batches of 4096"] = batches(bench, 4096, options.entries // share)
        found["single append / raw"] = singles(bench, 500 // share)
        if options.signed:
            signed(bench, options.signed // share)
        if options.postgres:
            postgres(bench, options.postgres, options.entries // share)
        if options.large:
            found |= large(bench, options.large // share)
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
