"""The fsspec face: what there is comes from the signed table, writing is refused, every way to bytes is checked."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dataseal.verifiers import VerifiedFileSystem
from dataseal.verifiers.reader.errors import ChunkInvalid
from support.datasets import CHUNK
from support.reading import SHARDS, Shelf

X = "deep/er/x.bin"


@pytest.fixture
def fs(shelf: Shelf) -> VerifiedFileSystem:
    """The shelf as a file system."""
    return shelf.open().fs


def test_it_is_registered_with_fsspec() -> None:
    assert fsspec.get_filesystem_class("dataseal") is VerifiedFileSystem


def test_it_lists_what_was_signed_and_nothing_else(shelf: Shelf, fs: VerifiedFileSystem) -> None:
    (shelf.data / "data" / "extra.parquet").write_bytes(b"x")
    (shelf.data / "data" / "a.parquet").unlink()
    assert fs.find("") == SHARDS
    assert fs.ls("", detail=False) == ["data", "deep", "empty.bin", "rows.csv"]
    assert fs.ls("data", detail=False) == ["data/a.parquet", "data/b.parquet"]
    assert fs.glob("**/*.parquet") == ["data/a.parquet", "data/b.parquet"]
    assert fs.glob("data/[ab].*") == ["data/a.parquet", "data/b.parquet"]
    assert [x[0] for x in fs.walk("")] == ["", "data", "deep", "deep/er"]
    assert not fs.exists("data/extra.parquet")
    assert fs.exists("data/a.parquet")
    assert fs.isdir("deep/er")


def test_sizes_are_the_signed_ones(shelf: Shelf, fs: VerifiedFileSystem) -> None:
    size = len(shelf.bytes(X))
    (shelf.data / X).write_bytes(b"")
    assert fs.info(X)["size"] == fs.size(X) == size
    assert fs.du("deep") == size
    assert fs.info("deep")["type"] == "directory"


def test_names_that_were_not_signed(fs: VerifiedFileSystem) -> None:
    for call in (fs.info, fs.ls, fs.open, fs.cat_file, fs.ukey, fs.checksum):
        with pytest.raises(FileNotFoundError):
            call("nothing.bin")


@pytest.mark.parametrize(
    "form", ["dataseal://{name}::{top}", "dataseal::{top}/{name}", "dataseal::file://{top}/{name}"]
)
def test_chained_urls(shelf: Shelf, form: str) -> None:
    for name in SHARDS:
        with fsspec.open(form.format(name=name, top=shelf.data), **shelf.trust) as file:
            assert file.read() == shelf.bytes(name)


def test_a_chained_url_of_the_top_and_globs(shelf: Shelf) -> None:
    fs, top = fsspec.url_to_fs(f"dataseal::{shelf.data}", **shelf.trust)
    assert fs.find(top) == SHARDS
    files = fsspec.open_files(f"dataseal::{shelf.data}/data/*.parquet", **shelf.trust)
    assert [f.path for f in files] == ["data/a.parquet", "data/b.parquet"]
    files = fsspec.open_files(f"dataseal://data/*.parquet::{shelf.data}", **shelf.trust)
    assert len(files) == 2


def test_text_mode_and_compression(shelf: Shelf) -> None:
    with fsspec.open(f"dataseal://rows.csv::{shelf.data}", "rt", **shelf.trust) as file:
        assert file.readline() == "n,square\n"
        assert sum(1 for _ in file) == 20_000


WAYS: dict[str, Callable[[VerifiedFileSystem, Path], Any]] = {
    "open": lambda fs, _: fs.open(X).read(),
    "open in text": lambda fs, _: fs.open(X, "r", encoding="latin-1").read(),
    "cat": lambda fs, _: fs.cat(X),
    "cat of many": lambda fs, _: fs.cat([X, "rows.csv"]),
    "cat_file": lambda fs, _: fs.cat_file(X),
    "cat_ranges": lambda fs, _: fs.cat_ranges([X], [0], [None], on_error="raise"),
    "read_bytes": lambda fs, _: fs.read_bytes(X),
    "read_block": lambda fs, _: fs.read_block(X, 2 * CHUNK, 10),
    "get": lambda fs, to: fs.get(X, str(to / "x")),
    "get a folder": lambda fs, to: fs.get("deep", str(to / "deep"), recursive=True),
    "get_file to a stream": lambda fs, _: fs.get_file(X, io.BytesIO()),
    "download": lambda fs, to: fs.download(X, str(to / "x")),
    "mapper": lambda fs, _: fs.get_mapper("deep")["er/x.bin"],
    "tail": lambda fs, _: fs.tail(X, 3 * CHUNK),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_an_altered_byte(shelf: Shelf, fs: VerifiedFileSystem, tmp_path: Path, way: str) -> None:
    shelf.flip(X, 2 * CHUNK + 1)
    with pytest.raises(ChunkInvalid):
        WAYS[way](fs, tmp_path)
    assert not (tmp_path / "x").exists()
    assert not list(tmp_path.glob("deep/**/*.bin*"))


def test_cat_ranges_that_returns_errors_returns_the_error(shelf: Shelf, fs: VerifiedFileSystem) -> None:
    shelf.flip(X, 2 * CHUNK)
    good, bad = fs.cat_ranges([X, X], [0, 2 * CHUNK], [10, 2 * CHUNK + 10])
    assert good == shelf.bytes(X)[:10]
    assert isinstance(bad, ChunkInvalid)


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (5, 10), (-10, None), (None, -10), (3 * CHUNK, 10**9), (7, 7), (9, 3)]
)
def test_ranges_are_pythons(shelf: Shelf, fs: VerifiedFileSystem, start: int | None, end: int | None) -> None:
    assert fs.cat_file(X, start, end) == shelf.bytes(X)[start:end]


def test_a_copy_is_there_as_a_whole(shelf: Shelf, fs: VerifiedFileSystem, tmp_path: Path) -> None:
    fs.get(X, str(tmp_path / "new" / "x"))
    assert (tmp_path / "new" / "x").read_bytes() == shelf.bytes(X)
    fs.get("", str(tmp_path / "all"), recursive=True)
    assert (tmp_path / "all" / X).read_bytes() == shelf.bytes(X)


WRITES: dict[str, Callable[[VerifiedFileSystem], Any]] = {
    "open to write": lambda fs: fs.open("new", "wb"),
    "open to append": lambda fs: fs.open(X, "ab"),
    "open to change": lambda fs: fs.open(X, "r+b"),
    "open to create": lambda fs: fs.open("new", "xb"),
    "pipe": lambda fs: fs.pipe("new", b"x"),
    "pipe_file": lambda fs: fs.pipe_file("new", b"x"),
    "put": lambda fs: fs.put(__file__, "new"),
    "put_file": lambda fs: fs.put_file(__file__, "new"),
    "touch": lambda fs: fs.touch("new"),
    "write_text": lambda fs: fs.write_text("new", "x"),
    "mkdir": lambda fs: fs.mkdir("new"),
    "makedirs": lambda fs: fs.makedirs("new/er"),
    "rm": lambda fs: fs.rm(X),
    "rm_file": lambda fs: fs.rm_file(X),
    "delete": lambda fs: fs.delete(X),
    "rmdir": lambda fs: fs.rmdir("deep"),
    "mv": lambda fs: fs.mv(X, "new"),
    "cp": lambda fs: fs.cp(X, "new"),
    "cp_file": lambda fs: fs.cp_file(X, "new"),
    "a transaction": lambda fs: fs.start_transaction(),
}


@pytest.mark.parametrize("way", WRITES)
def test_writing_is_refused(shelf: Shelf, fs: VerifiedFileSystem, way: str) -> None:
    before = sorted(p.as_posix() for p in shelf.data.rglob("*"))
    with pytest.raises(OSError, match="read-only"):
        WRITES[way](fs)
    assert sorted(p.as_posix() for p in shelf.data.rglob("*")) == before


def test_it_is_not_written_down_as_json(fs: VerifiedFileSystem) -> None:
    with pytest.raises(NotImplementedError):
        fs.to_json()
