"""A signed dataset to read from, and what tampers with it.

``shelf`` copies a template that is made once a session::

    data/a.parquet, data/b.parquet   4,000 records each in row groups of 500: id, text, score
    rows.csv                         20,000 lines
    deep/er/x.bin                    five chunks of 64 KiB less 1,000 bytes
    empty.bin                        nothing
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataseal.verifiers import OpenDataset, VerifiedFileSystem, open_dataset
from support.datasets import CHUNK, run, write

NAME = "acme/shelf"
ROWS = 4000
SIZE_X = 5 * CHUNK - 1000
SHARDS = ["data/a.parquet", "data/b.parquet", "deep/er/x.bin", "empty.bin", "rows.csv"]


@dataclass(frozen=True)
class Shelf:
    """A copy of the signed dataset, and the options that open it."""

    root: Path

    @property
    def data(self) -> Path:
        """The dataset's folder."""
        return self.root / "data"

    @property
    def ws(self) -> Path:
        """The publisher's workspace."""
        return self.root / "publisher"

    @property
    def trust(self) -> dict[str, Any]:
        """Whom to trust, as keywords."""
        keys = self.ws / "keys"
        return {"publisher": str(keys / "publisher.pub"), "log": str(keys / "log.vkey"), "dataset": NAME}

    def open(self, **options: Any) -> OpenDataset:
        """Opens the dataset."""
        return open_dataset(self.data, **{**self.trust, **options})

    def bytes(self, name: str) -> bytes:
        """What the folder holds under a shard's name."""
        return (self.data / name).read_bytes()

    def flip(self, name: str, offset: int) -> None:
        """Flips one bit of one byte; the size stays."""
        data = bytearray(self.bytes(name))
        data[offset] ^= 1
        (self.data / name).write_bytes(data)


def records(start: int) -> pa.Table:
    """Records with incompressible text, so that a shard has many chunks."""
    noise = random.Random(start)
    ids = range(start, start + ROWS)
    texts = [noise.randbytes(60).hex() for _ in ids]
    return pa.table({"id": ids, "text": texts, "score": [noise.random() for _ in ids]})


def make(root: Path) -> None:
    """Makes the template."""
    noise, data = random.Random(3), root / "data"
    for number, name in enumerate("ab"):
        (data / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(records(number * ROWS), data / "data" / f"{name}.parquet", row_group_size=500)
    write(data / "deep" / "er" / "x.bin", noise.randbytes(SIZE_X))
    write(data / "empty.bin", b"")
    write(data / "rows.csv", b"n,square\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(20_000)))
    run("init", root / "publisher")
    at = ("--workspace", root / "publisher")
    run("sign", data, "--dataset", NAME, "--release", "1.0.0", "--chunk-size", "64k", *at)


@pytest.fixture(scope="session")
def shelf_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's folder; never changed."""
    root = tmp_path_factory.mktemp("shelf")
    make(root)
    return root


@pytest.fixture
def shelf(shelf_template: Path, tmp_path: Path, home: Path) -> Iterator[Shelf]:
    """The shelf, to be destroyed at will; no file system of another test is left in fsspec's cache."""
    shutil.copytree(shelf_template, tmp_path / "shelf")
    VerifiedFileSystem.clear_instance_cache()
    yield Shelf(tmp_path / "shelf")
    VerifiedFileSystem.clear_instance_cache()
    fsspec.filesystem("memory").store.clear()
