"""The libraries that people read with: each gets the signed bytes, and each stops with our error at an altered one."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import fsspec
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dataseal.verifiers import OpenDataset, VerifiedFileSystem
from dataseal.verifiers.reader.errors import ChunkInvalid
from support.datasets import CHUNK
from support.reading import ROWS, Shelf

A = "data/a.parquet"


def pandas() -> Any:
    return pytest.importorskip("pandas", reason="pandas is not installed")


def polars() -> Any:
    return pytest.importorskip("polars", reason="polars is not installed")


def hf(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    datasets.disable_progress_bars()
    return datasets


CLIENTS: dict[str, Callable[[OpenDataset], int]] = {
    "pyarrow.parquet.read_table": lambda d: pq.read_table(A, filesystem=d.fs).num_rows,
    "pyarrow.parquet.ParquetFile": lambda d: pq.ParquetFile(d.open(A)).read().num_rows,
    "pyarrow.dataset over a folder": lambda d: ds.dataset("data", filesystem=d.fs).to_table().num_rows // 2,
    "pyarrow.dataset with a filter": lambda d: (
        ds.dataset(A, filesystem=d.fs).to_table(filter=ds.field("id") >= 0).num_rows
    ),
    "dataset()": lambda d: d.dataset([A]).to_table().num_rows,
    "record batches": lambda d: sum(b.num_rows for b in d) // 2,
    "pandas.read_parquet by URL": lambda d: len(pandas().read_parquet(d.url(A), storage_options=d.storage_options)),
    "pandas.read_parquet": lambda d: len(pandas().read_parquet(d.open(A))),
    "polars over a pyarrow dataset": lambda d: len(polars().scan_pyarrow_dataset(d.dataset([A])).collect()),
    "polars.read_parquet of bytes": lambda d: len(polars().read_parquet(io.BytesIO(d.open(A).read()))),
    "fsspec.open": lambda d: pq.read_table(fsspec.open(d.url(A), **d.storage_options).open()).num_rows,
    "an unpickled dataset": lambda d: pickle.loads(pickle.dumps(d)).dataset([A]).to_table().num_rows,
    "an unpickled file system": lambda d: pq.read_table(A, filesystem=pickle.loads(pickle.dumps(d.fs))).num_rows,
    "an unpickled file": lambda d: pq.read_table(pickle.loads(pickle.dumps(d.open(A)))).num_rows,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_reads_what_was_signed(shelf: Shelf, client: str) -> None:
    with shelf.open() as data:
        assert CLIENTS[client](data) == ROWS


@pytest.mark.parametrize("client", CLIENTS)
def test_stops_at_an_altered_byte(shelf: Shelf, client: str) -> None:
    shelf.flip(A, 3 * CHUNK)
    with shelf.open() as data, pytest.raises(ChunkInvalid) as caught:
        CLIENTS[client](data)
    assert caught.value.shard == A


def test_pandas_reads_csv(shelf: Shelf) -> None:
    with shelf.open() as data:
        frame = pandas().read_csv(data.url("rows.csv"), storage_options=data.storage_options)
        assert len(frame) == 20_000
        VerifiedFileSystem.clear_instance_cache()  # whose chunks are checked already
        shelf.flip("rows.csv", 100_000)
        with pytest.raises(ChunkInvalid):
            pandas().read_csv(data.url("rows.csv"), storage_options=data.storage_options)


def test_polars_stops_at_an_altered_byte_of_a_file_in_its_own_way(shelf: Shelf) -> None:
    """polars panics when a file object raises: a BaseException that names our error."""
    read = polars().read_parquet
    with shelf.open() as data:
        assert len(read(data.open(A))) == ROWS
    shelf.flip(A, 3 * CHUNK)
    with shelf.open() as data, pytest.raises(BaseException, match="ChunkInvalid"):
        read(data.open(A))


def test_datasets_streams(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    load = hf(monkeypatch).load_dataset
    with shelf.open() as data:
        options = {"split": "train", "streaming": True, "storage_options": data.storage_options}
        rows = load("parquet", data_files={"train": data.url("data/*.parquet")}, **options)
        assert sum(1 for _ in rows) == 2 * ROWS


def test_datasets_stops_at_an_altered_byte(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    load = hf(monkeypatch).load_dataset
    shelf.flip("data/b.parquet", 3 * CHUNK)
    with shelf.open() as data:
        options = {"split": "train", "streaming": True, "storage_options": data.storage_options}
        rows = load("parquet", data_files={"train": data.url("data/*.parquet")}, **options)
        with pytest.raises(ChunkInvalid):
            list(rows)
