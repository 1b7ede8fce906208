"""Any fsspec file system as the place: here fsspec's in-memory one, and one that lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dataseal.ledger.errors import UsageError
from dataseal.verifiers import open_dataset
from dataseal.verifiers.reader.errors import ChunkInvalid, TargetUnavailable
from support.datasets import CHUNK
from support.reading import SHARDS, Shelf

X = "deep/er/x.bin"


class Lying(MemoryFileSystem):
    """Answers as `lie` says once it is set."""

    protocol = "lying"
    store: dict[str, Any] = {}  # noqa: RUF012  fsspec's own shape
    pseudo_dirs = [""]  # noqa: RUF012
    lie: Any = None

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).replace("lying://", "memory://"))

    def cat_file(self, path: str, start: Any = None, end: Any = None, **more: Any) -> bytes:
        data: bytes = super().cat_file(path, start, end, **more)
        return Lying.lie(self, path, data) if Lying.lie and path.endswith("x.bin") else data


@pytest.fixture
def bucket(shelf: Shelf) -> Iterator[str]:
    """The shelf in a bucket that can lie."""
    fsspec.register_implementation("lying", Lying, clobber=True)
    Lying.store.clear()
    Lying("").put(f"{shelf.data}/", "/bucket/shelf", recursive=True)
    yield "lying://bucket/shelf"
    Lying.lie = None
    Lying.store.clear()


def test_a_bucket(shelf: Shelf, bucket: str) -> None:
    with open_dataset(bucket, **shelf.trust) as data:
        assert data.shards() == SHARDS
        for name in SHARDS:
            assert data.open(name).read() == shelf.bytes(name)
    for url in (f"dataseal://rows.csv::{bucket}", f"dataseal::{bucket}/rows.csv"):
        with fsspec.open(url, **shelf.trust) as file:
            assert file.read() == shelf.bytes("rows.csv")


LIES = {
    "the whole file instead of a range": lambda fs, path, _: MemoryFileSystem.cat_file(fs, path),
    "a short answer": lambda _fs, _path, data: data[:-1],
    "nothing": lambda _fs, _path, _data: b"",
    "other bytes": lambda _fs, _path, data: bytes(len(data)),
    "a longer answer": lambda _fs, _path, data: b"!" + data,
}


@pytest.mark.parametrize("lie", LIES)
def test_a_store_that_answers_with(shelf: Shelf, bucket: str, lie: str) -> None:
    with open_dataset(bucket, **shelf.trust) as data:
        Lying.lie = LIES[lie]
        with pytest.raises(ChunkInvalid):
            data.fs.cat_file(X, 3 * CHUNK, 3 * CHUNK + 5)


def test_a_store_that_fails_is_no_verdict(shelf: Shelf, bucket: str) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("throttled https://user:secret@host/x")

    with open_dataset(bucket, **shelf.trust) as data:
        Lying.lie = fail
        with pytest.raises(TargetUnavailable, match="throttled") as caught:
            data.open(X).read()
        assert "secret" not in str(caught.value)


def test_a_file_smuggled_into_a_buckets_seal(shelf: Shelf, bucket: str) -> None:
    Lying("").pipe("/bucket/shelf/.dataseal/notes", b"x")
    with pytest.raises(Exception, match="does not belong there"):
        open_dataset(bucket, **shelf.trust)


def test_a_protocol_that_nobody_knows(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="not a place that can be read"):
        open_dataset("nonesuch://bucket/x", **shelf.trust)
