"""A workspace, small datasets, and the walks over them, for tests of every floor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataseal.ledger import workspace as workspaces
from dataseal.ledger.log import Log
from dataseal.ledger.modify import RecordedModification, modify
from dataseal.ledger.modify import parent as resolve_parent
from dataseal.ledger.objects import Objects
from dataseal.ledger.sign import SignedRelease, sign
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.store.store import Store
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.workspace import Workspace

DATASET = "acme/reviews"


def no_passphrase(_path: str) -> bytes | None:
    """The keys of test workspaces are not encrypted."""
    return None


class Clock:
    """A clock that tests move. Each reading is one second after the one before it."""

    def __init__(self, start: str = "2026-01-02T03:04:05+00:00") -> None:
        self.now = datetime.fromisoformat(start)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now.astimezone(UTC)


@dataclass
class Bench:
    """A workspace with its log and signers, and the walks with everything but the interesting arguments filled in."""

    workspace: Workspace
    log: Log
    publisher: KeyFileSigner
    gate: KeyFileSigner
    clock: Clock

    @property
    def objects(self) -> Objects:
        """The workspace's objects."""
        return self.workspace.objects

    @property
    def database(self) -> Path:
        """The ledger's SQLite file."""
        return self.workspace.ledger

    def sign(self, folder: Path, version: str = "1.0.0", *, dataset: str = DATASET, **options: Any) -> SignedRelease:
        """Signs ``folder``."""
        arguments: dict[str, Any] = {"log": self.log, "signer": self.publisher, "objects": self.objects, "jobs": 1}
        return sign(folder, dataset=dataset, version=version, **{**arguments, **options})

    def record(
        self, folder: Path, start: str = f"{DATASET}@head", operation: str = "append", **options: Any
    ) -> RecordedModification:
        """Records what led from ``start`` to ``folder``."""
        dataset = options.pop("dataset", DATASET)
        found = resolve_parent(start, dataset=dataset, log=options.get("log", self.log), objects=self.objects, jobs=1)
        arguments: dict[str, Any] = {
            "reason": "more data",
            "log": self.log,
            "signer": self.publisher,
            "objects": self.objects,
            "jobs": 1,
        }
        return modify(operation, found, folder, **{**arguments, **options})

    def again(self) -> Log:
        """The same ledger, opened anew: what the next process sees."""
        return self.workspace.log(no_passphrase)


def make_workspace(folder: Path, origin: str | None = None) -> Workspace:
    """What ``dataseal init`` makes."""
    return workspaces.create(folder, origin=origin)


def make_bench(folder: Path, origin: str | None = None) -> Bench:
    """A fresh workspace in ``folder``, opened for writing, under a clock of its own."""
    make_workspace(folder, origin)
    return open_bench(folder)


def open_bench(folder: Path) -> Bench:
    """The workspace in ``folder``, opened for writing, under a clock of its own."""
    workspace, clock = workspaces.load(folder), Clock()
    key = keyfile.load(folder / "keys" / "log.key", no_passphrase).private
    log = Log(
        Store.open(workspace.ledger),
        origin=workspace.config.ledger.origin,
        signers=[Ed25519Signer(workspace.config.ledger.origin, key)],  # type: ignore[arg-type]
        admission=workspace.admission(),
        clock=clock,
    )
    return Bench(
        workspace, log, workspace.signer("publisher", no_passphrase), workspace.signer("gate", no_passphrase), clock
    )


def rows(count: int, start: int = 0) -> dict[str, list[Any]]:
    """``count`` small records."""
    numbers = range(start, start + count)
    return {
        "id": list(numbers),
        "text": [f"text number {n}" for n in numbers],
        "label": ["positive" if n % 2 else "negative" for n in numbers],
    }


def write_shard(path: Path, columns: Mapping[str, Sequence[Any]] | int = 5, start: int = 0) -> Path:
    """Writes one Parquet shard: the given columns, or that many small records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(rows(columns, start) if isinstance(columns, int) else dict(columns))
    pq.write_table(table, path)
    return path


def make_dataset(folder: Path, shards: int = 3) -> Path:
    """A dataset of Parquet shards ``data/0.parquet``…, five records each, and a README."""
    for number in range(shards):
        write_shard(folder / "data" / f"{number}.parquet", 5, start=5 * number)
    (folder / "README.md").write_text("# A dataset\n", encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` with its bytes, to compare before and after; not SQLite's map of locks."""
    found = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.endswith("-shm"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def flip(path: Path, at: int = 0, bit: int = 0) -> None:
    """Flips one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


Action = Callable[[], object]
