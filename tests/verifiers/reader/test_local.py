"""Reading from a folder that somebody changes after it was verified: one attack a test."""

from __future__ import annotations

import io
import os
import pickle
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataseal.ledger.errors import IntegrityError
from dataseal.verifiers.reader.errors import ChunkInvalid
from support.datasets import CHUNK
from support.reading import SHARDS, SIZE_X, Shelf

X = "deep/er/x.bin"


def refused(shelf: Shelf, name: str, start: int, stop: int) -> ChunkInvalid:
    """Opens, and expects the error that names the shard and the chunk's range."""
    with shelf.open() as data, data.open(name) as file:
        file.seek(start)
        with pytest.raises(ChunkInvalid) as caught:
            file.read(10)
    error = caught.value
    assert (error.shard, error.start, error.stop) == (name, start, stop)
    assert error.where == f"{name} bytes {start}-{stop - 1}"
    assert error.hint
    return error


# What is as it was signed


@pytest.mark.parametrize("name", SHARDS)
def test_every_shard_reads_as_it_was_signed(shelf: Shelf, name: str) -> None:
    with shelf.open() as data, data.open(name) as file:
        assert file.read() == shelf.bytes(name)
        assert file.read() == b""
        assert file.seek(0, io.SEEK_END) == len(shelf.bytes(name))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, SIZE_X + 10), st.integers(-1, SIZE_X + 10)), max_size=12), st.integers(0, 6))
def test_any_order_and_cut_of_reads_and_any_cache_gives_the_same_bytes(
    shelf: Shelf, reads: list[tuple[int, int]], cached: int
) -> None:
    whole = shelf.bytes(X)
    with shelf.open(cache_bytes=cached * CHUNK // 2) as data, data.open(X) as file:
        for start, size in reads:
            file.seek(start)
            assert file.read(size) == whole[start:][: size if size >= 0 else None]
            assert file.tell() == (start if size == 0 else max(start, min(len(whole), start + size)) if size > 0
                                   else max(start, len(whole)))  # fmt: skip


def test_a_view_can_not_be_written_through(shelf: Shelf) -> None:
    with shelf.open() as data, data.open(X) as file:
        for size in (10, CHUNK + 10, 4 * CHUNK):
            view = file.read_buffer(size)
            assert view.readonly


def test_readinto_lines_and_a_closed_file(shelf: Shelf) -> None:
    with shelf.open() as data:
        with data.open("rows.csv") as file:
            buffer = bytearray(9)
            assert file.readinto(buffer) == 9
            assert buffer == b"n,square\n"
            assert file.readline() == b"0,0\n"
            with pytest.raises(ValueError, match="negative"):
                file.seek(-1)
        with pytest.raises(ValueError, match="closed"):
            file.read()


# Attacks


def test_a_flipped_bit_after_the_check(shelf: Shelf) -> None:
    with shelf.open() as data:
        shelf.flip(X, 2 * CHUNK + 5)
        with data.open(X) as file:
            assert file.read(2 * CHUNK) == shelf.bytes(X)[: 2 * CHUNK]
            with pytest.raises(ChunkInvalid) as caught:
                file.read(1)
            assert (caught.value.start, caught.value.stop) == (2 * CHUNK, 3 * CHUNK)
            assert isinstance(caught.value, IntegrityError)


def test_a_flipped_bit_in_a_wide_read(shelf: Shelf) -> None:
    shelf.flip(X, 3 * CHUNK)
    with shelf.open() as data, data.open(X) as file, pytest.raises(ChunkInvalid, match="not what was signed"):
        file.read()


def test_a_truncated_shard(shelf: Shelf) -> None:
    os.truncate(shelf.data / X, SIZE_X - 1)
    assert "ends at byte" in refused(shelf, X, 4 * CHUNK, SIZE_X).what


def test_a_shard_cut_in_an_earlier_chunk(shelf: Shelf) -> None:
    os.truncate(shelf.data / X, CHUNK)
    refused(shelf, X, 3 * CHUNK, 4 * CHUNK)


def test_an_emptied_shard(shelf: Shelf) -> None:
    os.truncate(shelf.data / X, 0)
    refused(shelf, X, 0, CHUNK)


def test_a_removed_shard(shelf: Shelf) -> None:
    (shelf.data / X).unlink()
    assert refused(shelf, X, 0, CHUNK).what == "the shard is missing"


def test_an_appended_shard_gives_the_signed_bytes_only(shelf: Shelf) -> None:
    signed = shelf.bytes(X)
    with (shelf.data / X).open("ab") as file:
        file.write(b"more")
    with shelf.open() as data, data.open(X) as opened:
        assert opened.read() == signed


def test_two_chunks_that_changed_places(shelf: Shelf) -> None:
    data = shelf.bytes(X)
    (shelf.data / X).write_bytes(data[CHUNK : 2 * CHUNK] + data[:CHUNK] + data[2 * CHUNK :])
    refused(shelf, X, 0, CHUNK)


def test_two_shards_that_changed_places(shelf: Shelf) -> None:
    a, b = shelf.data / "data/a.parquet", shelf.data / "data/b.parquet"
    a.rename(shelf.data / "c")
    b.rename(a)
    refused(shelf, "data/a.parquet", 0, CHUNK)


def test_a_link_in_a_shards_place(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(random.Random(1).randbytes(SIZE_X))
    (shelf.data / X).unlink()
    (shelf.data / X).symlink_to(tmp_path / "elsewhere")
    with shelf.open() as data, pytest.raises(Exception, match="can't open the file"):
        data.open(X).read()


def test_a_pipe_in_a_shards_place_does_not_hold_the_reader(shelf: Shelf) -> None:
    (shelf.data / X).unlink()
    os.mkfifo(shelf.data / X)
    refused(shelf, X, 0, CHUNK)


def test_an_unsigned_file_does_not_exist(shelf: Shelf) -> None:
    (shelf.data / "extra.parquet").write_bytes(b"x")
    with shelf.open() as data:
        with pytest.raises(FileNotFoundError, match=r"no shard 'extra\.parquet' was signed"):
            data.open("extra.parquet")
        assert data.shards() == SHARDS


@pytest.mark.parametrize(
    "name", ["../data/rows.csv", "/etc/passwd", "data/../rows.csv", "./rows.csv", ".dataseal/shards.parquet"]
)
def test_a_path_that_leads_elsewhere_does_not_exist(shelf: Shelf, name: str) -> None:
    with shelf.open() as data, pytest.raises(FileNotFoundError):
        data.open(name)


def test_a_chunk_that_was_kept_is_not_read_again(shelf: Shelf) -> None:
    signed = shelf.bytes(X)
    with shelf.open() as data, data.open(X) as file:
        assert file.read(10) == signed[:10]
        shelf.flip(X, 5)
        file.seek(0)
        assert file.read(10) == signed[:10]  # the checked bytes, not the new ones
        data.close()
        file.seek(0)
        with pytest.raises(ChunkInvalid):
            file.read(10)


def test_what_failed_is_not_kept(shelf: Shelf) -> None:
    shelf.flip(X, 5)
    with shelf.open() as data, data.open(X) as file:
        with pytest.raises(ChunkInvalid):
            file.read(10)
        shelf.flip(X, 5)
        file.seek(0)
        assert file.read(10) == shelf.bytes(X)[:10]


def test_the_error_survives_pickling(shelf: Shelf) -> None:
    shelf.flip(X, 5)
    error = refused(shelf, X, 0, CHUNK)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is ChunkInvalid
    assert (str(again), again.hint, again.shard, again.stop) == (str(error), error.hint, X, CHUNK)
