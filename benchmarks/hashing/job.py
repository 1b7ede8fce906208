"""One measured job in a process of its own: prints CPU and wall seconds, the process's included, and its peak memory.

    python benchmarks/hashing/job.py NAME FOLDER [--workspace DIR] [--jobs N] [--chunk-hash H] [--version V]

``verify`` and ``fast`` are all of `dataseal verify` without imports and printing: seal, signature, log proof, table,
every byte, history. ``sign`` is all of `dataseal sign`: hashing, statement, log, seal. ``hashlib`` reads the same
files with `hashlib.sha256` and nothing else. ``sparse`` makes the manifest of one file of 1 TB with simulated digests:
shard root, dataset root, table, and the table read again.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

NAME = "bench/data"


def verify(arguments: argparse.Namespace) -> Callable[[], object]:
    """Verification, with ``--fast`` for the job of that name; it must pass."""
    import pyarrow.parquet  # noqa: F401  what a command imports is not what is measured

    from dataseal.ledger.signers.keyfile import load_public
    from dataseal.ledger.trust import TrustedLog, read_log
    from dataseal.ledger.workspace import load
    from dataseal.verifiers import policy as policies
    from dataseal.verifiers import release
    from dataseal.verifiers.checked import Checked
    from dataseal.verifiers.sources.local import LocalFolder

    workspace = load(arguments.workspace)
    keys = arguments.workspace / "keys"
    log = TrustedLog("log", read_log((keys / "log.vkey").read_bytes()))
    policy = policies.command_line(publishers=[load_public(keys / "publisher.pub")], logs=[log], datasets=[NAME])
    fast = arguments.name == "fast"

    def check() -> Checked:
        memory = workspace.memory if fast else None
        return release.check(
            LocalFolder(arguments.folder),
            policy.trust,
            now=datetime.now(UTC),
            expected=[NAME],
            fast=memory,
            jobs=arguments.jobs,
        )

    def job() -> None:
        checked = check()
        assert not checked.findings, checked.findings
        assert checked.release
        assert checked.fast == checked.release.shards if fast else checked.complete

    if fast:
        check()  # what the measured run remembers
    return job


def sign(arguments: argparse.Namespace) -> Callable[[], object]:
    """Signing as the next release."""
    import pyarrow.parquet  # noqa: F401

    from dataseal.ledger.manifest import DEFAULT_CHUNK, Parameters
    from dataseal.ledger.sign import sign as walk
    from dataseal.ledger.workspace import load

    workspace = load(arguments.workspace)
    return lambda: walk(
        arguments.folder,
        dataset=NAME,
        version=arguments.version,
        log=workspace.log(lambda _: None),
        signer=workspace.signer("publisher", lambda _: None),
        objects=workspace.objects,
        parameters=Parameters(DEFAULT_CHUNK, arguments.chunk_hash),
        jobs=arguments.jobs,
        memory=workspace.memory,
    )


def plain(arguments: argparse.Namespace) -> Callable[[], object]:
    """`hashlib` over the list of the files, which is made beforehand."""
    paths = sorted(p for p in arguments.folder.rglob("*") if p.is_file() and ".dataseal" not in p.parts)
    names = [str(p) for p in paths]

    def job() -> None:
        for name in names:
            with open(name, "rb") as stream:
                hashlib.sha256(stream.read()).hexdigest()

    return job


def sparse(_arguments: argparse.Namespace) -> Callable[[], object]:
    """One file of 1 TB: 262,144 chunks of 4 MiB."""
    from dataseal.ledger.digest import sha256
    from dataseal.ledger.manifest import Parameters, Shard, build, encode_table, parse_table, shard_root

    def job() -> None:
        count = 2**40 // Parameters().chunk_size
        chunks = b"".join(sha256(number.to_bytes(8, "big")) for number in range(count))
        shard = Shard("huge.bin", 2**40, sha256(b"whole"), shard_root(chunks), chunks)
        manifest = build([shard], Parameters())
        table = encode_table(manifest)
        assert parse_table(table, Parameters(), digest=sha256(table), root=manifest.root) == manifest

    return job


JOBS = {"verify": verify, "fast": verify, "sign": sign, "hashlib": plain, "sparse": sparse}


def main() -> None:
    """Runs the job and prints a JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=JOBS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--chunk-hash", default="sha256")
    parser.add_argument("--version", default="1")
    arguments = parser.parse_args()
    job = JOBS[arguments.name](arguments)
    imported = time.process_time()
    gc.set_threshold(200_000, 20, 100)  # as the command does
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": memory, "start": imported}))


if __name__ == "__main__":
    main()
