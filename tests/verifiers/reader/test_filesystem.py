"""The fsspec face: what there is comes from the signed table, writing is refused, every way to bytes is checked."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from dataseal.verifiers import VerifiedFileSystem, open_dataset
from dataseal.verifiers.reader.errors import ChunkInvalid, NotOpened
from support.datasets import CHUNK
from support.reading import NAME, SHARDS, Shelf

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


def test_a_signed_folder_with_the_name_of_the_place_is_the_signed_one(shelf: Shelf) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{shelf.data}/", "data", recursive=True)
    with open_dataset("memory://data", **shelf.trust) as data:
        assert data.fs.ls("data", detail=False) == ["data/a.parquet", "data/b.parquet"]
        assert data.fs.glob("data/*") == data.fs.find("data") == ["data/a.parquet", "data/b.parquet"]
        assert not data.fs.exists("data/rows.csv")
        assert data.fs.isdir("data")
        assert data.fs.find("") == SHARDS


def test_another_place_may_be_spelled_in_front_of_a_path(shelf: Shelf) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{shelf.data}/", "bucket/shelf", recursive=True)
    with open_dataset("memory://bucket/shelf", **shelf.trust) as data:
        assert data.fs.ls("bucket/shelf/data", detail=False) == ["data/a.parquet", "data/b.parquet"]


def test_a_policy_is_judged_each_time_something_is_opened(shelf: Shelf, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    text = f"""\
dataseal_policy: 1
name: mine
trust:
  signers: {{them: {{key: {shelf.trust["publisher"]}}}}}
rules:
  - {{id: who, rule: publisher, datasets: ["{NAME}"], all_of: [{{signers: them}}]}}
  - {{id: files, rule: integrity}}
"""
    policy.write_text(text)
    options = {"policy": str(policy), "log": shelf.trust["log"]}
    url = f"dataseal://rows.csv::{shelf.data}"
    with fsspec.open(url, **options) as file:
        file.read(1)
    policy.write_text(text.replace("name: mine", "name: mine\nexpires: 2020-01-01"))
    with pytest.raises(NotOpened, match="2020-01-01"):
        fsspec.open(url, **options)


def test_what_is_pinned_is_opened_once(shelf: Shelf) -> None:
    with shelf.open() as data:
        first, second = (fsspec.url_to_fs(data.url("rows.csv"), **data.storage_options)[0] for _ in range(2))
    assert first is second


def test_a_copy_touches_no_file_that_it_did_not_make(shelf: Shelf, fs: VerifiedFileSystem, tmp_path: Path) -> None:
    mine = tmp_path / f"x.{os.getpid()}.part"
    mine.write_bytes(b"mine")
    fs.get_file(X, str(tmp_path / "x"))
    assert mine.read_bytes() == b"mine"
    assert (tmp_path / "x").read_bytes() == shelf.bytes(X)
    assert (tmp_path / "x").stat().st_mode == mine.stat().st_mode
    shelf.flip("rows.csv", 0)
    with pytest.raises(ChunkInvalid):
        shelf.open().fs.get_file("rows.csv", str(tmp_path / "y"))
    assert {path.name for path in tmp_path.iterdir()} == {"shelf", "home", "here", "x", mine.name}


def test_threads_that_copy_to_one_name(shelf: Shelf, fs: VerifiedFileSystem, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(fs.get_file, X, str(tmp_path / "x")) for _ in range(40)]:
            one.result()
    assert (tmp_path / "x").read_bytes() == shelf.bytes(X)
