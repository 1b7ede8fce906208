"""How fast a log is followed from its tiles: reading, mirroring, publishing, monitoring with signatures.

    python benchmarks/ledger/follow.py [--entries 5000] [--scheme ecdsa-p256]

A log of release entries (some 1.2 kB each) over 20 datasets is written to a folder; then, from that folder: every entry
is read and authenticated; the log is mirrored to another folder; a monitor follows it, in whose questions the publisher
is named (every bundle's signature is verified) or is not. Figures are entries a second on this machine, entries a
second of its CPU (for machines that do other things too), and the ratio of the latter to hashing the bytes alone.

Limit (exit 1 when missed): a monitor that verifies every signature does 500 entries a second of CPU.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from dataseal.ledger.follow import open_tree
from dataseal.ledger.mirror import mirror, replicate
from dataseal.ledger.monitor import Monitor, Watch
from dataseal.ledger.places import Folder
from dataseal.ledger.replay import open_replay
from dataseal.ledger.signers import keyfile
from dataseal.ledger.tlog.merkle import leaf_hash
from dataseal.ledger.view import Views
from support.hostile_log import HostileLog

FLOOR = 500


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--scheme", default="ecdsa-p256", choices=sorted(keyfile.SCHEMES))
    options = parser.parse_args()
    signer = keyfile.generate(options.scheme)
    log = HostileLog()
    for number in range(options.entries):
        log.append(f"acme/set-{number % 20}", signer=signer)
    log.publish()
    folder = Path(tempfile.mkdtemp())
    size = sum(map(len, log.bodies)) / options.entries
    print(f"{options.entries} entries of {size:,.0f} bytes, signed with {options.scheme}")

    print(f"{'':<44} {'entries/s':>9} {'a CPU second':>12} {'of hashing':>12}")
    rates: dict[str, float] = {}
    of_cpu: dict[str, float] = {}

    def measure(name: str, action: Callable[[], object]) -> None:
        start, busy = time.perf_counter(), time.process_time()
        action()
        rates[name] = options.entries / (time.perf_counter() - start)
        of_cpu[name] = options.entries / (time.process_time() - busy)
        ratio = of_cpu[name] / of_cpu["hashing alone"]
        print(f"{name:<44} {rates[name]:>9,.0f} {of_cpu[name]:>12,.0f} {ratio:>12.4f}")

    def follow(watch: Watch, name: str) -> None:
        with open_replay(folder / f"{name}.sqlite") as replay:
            monitor = Monitor(
                source, log.policy, views=Views(folder / name), replay=replay, watch=watch, report=lambda _: None
            )
            outcome = monitor.poll()
        assert (outcome.entries, outcome.alarms) == (options.entries, 0), outcome

    source = Folder(folder / "published")
    measure("hashing alone", lambda: [leaf_hash(body) for body in log.bodies])
    measure("first publication to a folder", lambda: replicate(open_tree(log, log.policy), source, log.policy))
    measure("reading, every entry authenticated", lambda: sum(1 for _ in open_tree(source, log.policy).entries()))
    measure(
        "mirroring to another folder",
        lambda: mirror(source, Folder(folder / "mirror"), log.policy, Views(folder / "mirror views")),
    )
    measure("monitor, chain and rules, no signatures", lambda: follow(Watch(), "plain"))
    measure("monitor, every bundle's signature verified", lambda: follow(Watch(publishers=[signer.public]), "signed"))
    print(
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB, the log in memory included"
    )
    return 0 if of_cpu["monitor, every bundle's signature verified"] >= FLOOR else 1


if __name__ == "__main__":
    sys.exit(main())
