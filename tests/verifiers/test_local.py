"""A local folder as a source: nothing that lies in it is followed, hung on, or read without a bound."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dataseal.ledger.errors import FormatError, Unavailable, UsageError
from dataseal.verifiers.sources.local import LocalFolder, Records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".dataseal" / "release").mkdir(parents=True)
    return tmp_path


def test_a_missing_folder_and_a_file_are_misuse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, what in (("nothing", "no such folder"), ("file", "not a folder")):
        with pytest.raises(UsageError, match=what) as caught:
            LocalFolder(tmp_path / name)
        assert caught.value.hint


def test_the_seals_names(folder: Path) -> None:
    seal = folder / ".dataseal"
    (seal / "shards.parquet").touch()
    (seal / "a" / "b").mkdir(parents=True)
    (seal / "a" / "c").touch()
    (seal / "link").symlink_to("/etc")
    assert LocalFolder(folder).seal() == ["a/b/", "a/c", "link", "release/", "shards.parquet"]


def test_a_seal_that_nests_too_deep_is_told(folder: Path) -> None:
    descriptors = [os.open(folder / ".dataseal", os.O_RDONLY)]
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptors[-1])
        descriptors.append(os.open("d" * 250, os.O_RDONLY, dir_fd=descriptors[-1]))
    try:
        with pytest.raises(Unavailable, match="can't list"):
            LocalFolder(folder).seal()
    finally:
        for descriptor in reversed(descriptors):
            os.close(descriptor)


@pytest.mark.parametrize("kind", ["none", "file", "link"])
def test_no_seal(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (tmp_path / ".dataseal").touch()
    if kind == "link":
        (tmp_path / "real").mkdir()
        (tmp_path / ".dataseal").symlink_to("real", target_is_directory=True)
    assert LocalFolder(tmp_path).seal() is None


def test_a_seals_file_is_read_up_to_its_bound(folder: Path) -> None:
    (folder / ".dataseal" / "x").write_bytes(b"12345")
    source = LocalFolder(folder)
    assert source.read_seal("x", 5) == b"12345"
    with pytest.raises(FormatError, match="more than 4 bytes"):
        source.read_seal("x", 4)


def test_what_is_no_plain_file_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal = folder / ".dataseal"
    (seal / "link").symlink_to("/etc/passwd")
    (seal / "loop").symlink_to("loop")
    os.mkfifo(seal / "pipe")
    (seal / "objects").write_bytes(b"a file where a folder is due")
    monkeypatch.chdir(seal)
    source = LocalFolder(folder)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        for name in ("link", "loop", "pipe", "sock", "release", "nothing", "objects/x"):
            assert source.read_seal(name, 100) is None, name


def test_records_are_parquet_files_in_any_case_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"x")
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    records = Records(LocalFolder(tmp_path), ["b.parquet", "a.parquet", "C.PARQUET", "d.csv", "parquet"])
    assert records.shards() == ["C.PARQUET", "a.parquet", "b.parquet"]
    with records.open("a.parquet") as stream:
        assert stream.read() == b"x"
    with pytest.raises(OSError, match="symbolic links"):
        records.open("b.parquet")
