"""The cache, its bound, threads, forks, and how little a read touches."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataseal.verifiers import open_dataset
from dataseal.verifiers.reader.errors import ChunkInvalid
from dataseal.verifiers.reader.targets import Folder
from support.datasets import CHUNK, run
from support.reading import NAME, Shelf

X = "deep/er/x.bin"


def test_a_column_of_one_row_group_touches_under_five_percent_of_the_chunks(shelf: Shelf, tmp_path: Path) -> None:
    folder, rows = tmp_path / "big", 200_000
    folder.mkdir()
    columns = {f"c{n}": pa.array(memoryview(os.urandom(8 * rows)).cast("q")) for n in range(10)}
    pq.write_table(pa.table(columns), folder / "big.parquet", row_group_size=20_000, compression="none")
    run("sign", folder, "--dataset", NAME, "--release", "2", "--chunk-size", "64k", "--workspace", shelf.ws)
    with open_dataset(folder, **shelf.trust) as data:
        chunks = -(-(folder / "big.parquet").stat().st_size // CHUNK)
        file = pq.ParquetFile("big.parquet", filesystem=data.fs)
        column = file.read_row_group(7, columns=["c3"])["c3"]
        assert column.combine_chunks().equals(columns["c3"][140_000:160_000])
        assert 0 < data.statistics.chunks < 0.05 * chunks
        assert data.statistics.bytes <= data.statistics.chunks * CHUNK


def test_kept_chunks_stay_within_the_bound(shelf: Shelf) -> None:
    with shelf.open(cache_bytes=3 * CHUNK) as data:
        chunks = data.fs.opened.chunks
        for name in ("data/a.parquet", X, "rows.csv", X):
            file = data.open(name)
            for at in range(0, file.seek(0, 2), CHUNK // 2):
                file.seek(at)
                file.read(100)
                assert sum(map(len, chunks._kept.values())) == chunks._kept_bytes <= 3 * CHUNK


def test_all_files_of_a_dataset_share_what_was_checked(shelf: Shelf) -> None:
    with shelf.open() as data:
        for _ in range(5):
            file = data.open(X)
            file.seek(CHUNK * 3)  # not from the front: nothing is fetched ahead
            file.read(10)
        assert data.statistics.chunks == 1
        assert data.statistics.hits == 4


def test_threads_that_want_one_chunk_fetch_it_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    release, asked = threading.Event(), []
    real = Folder.read_into

    def slow(self: Folder, path: str, start: int, view: memoryview) -> int:
        asked.append((path, start))
        release.wait(10)
        return real(self, path, start, view)

    monkeypatch.setattr(Folder, "read_into", slow)
    with shelf.open() as data, ThreadPoolExecutor(6) as pool:
        found = [pool.submit(data.fs.cat_file, X, CHUNK, CHUNK + 9) for _ in range(6)]
        while not asked:
            pass
        release.set()
        assert {f.result() for f in found} == {shelf.bytes(X)[CHUNK : CHUNK + 9]}
    assert asked == [(X, CHUNK)]


def test_all_threads_that_wait_for_a_bad_chunk_get_the_error(shelf: Shelf) -> None:
    shelf.flip(X, CHUNK)
    with shelf.open() as data, ThreadPoolExecutor(4) as pool:
        for found in [pool.submit(data.fs.cat_file, X, CHUNK, CHUNK + 9) for _ in range(8)]:
            with pytest.raises(ChunkInvalid):
                found.result()
        assert not data.fs.opened.chunks._coming


def test_many_threads_read_many_ranges(shelf: Shelf) -> None:
    whole = {name: shelf.bytes(name) for name in (X, "rows.csv", "data/a.parquet")}
    ranges = [(name, at * 9973 % len(data), at * 7919) for name, data in whole.items() for at in range(60)]
    with shelf.open(cache_bytes=4 * CHUNK) as data, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda r: data.fs.cat_file(r[0], r[1], r[1] + r[2]), ranges)
        assert all(
            got == whole[name][start : start + size] for got, (name, start, size) in zip(found, ranges, strict=True)
        )


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_though_the_parents_threads_are_gone(shelf: Shelf) -> None:
    signed = shelf.bytes(X)
    with shelf.open() as data:
        file = data.open(X)
        for _ in range(3):
            file.read(1000)  # the pool's threads are at work
        lock = data.fs.opened.chunks._lock
        with lock:  # held by a thread of the parent, as far as the child can tell
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    file.seek(0)
                    code = 0 if file.read() == signed else 2
                finally:
                    os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_interrupted_read_leaves_nobody_waiting(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    with shelf.open() as data:
        chunks = data.fs.opened.chunks

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("dataseal.verifiers.reader.chunks._side_by_side", interrupted)
            with pytest.raises(KeyboardInterrupt):
                data.fs.cat_file(X, 0, 10)
        assert not chunks._coming
        assert data.fs.cat_file(X, 0, 10) == shelf.bytes(X)[:10]
