"""The walk and the digests of OMS: nothing left out, nothing followed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from blake3 import blake3

from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.hashing import File
from dataseal.ledger.oms import files as edge
from support import oms as make
from support.errors import refused


def paths(folder: Path) -> list[str]:
    return [file.path for file in edge.walk(folder)[0]]


def test_every_file_is_seen(tmp_path: Path) -> None:
    names = [".dataseal/x", ".git/config", ".cache/huggingface/y", "a/b/c", "é"]
    make.write(tmp_path, dict.fromkeys(names, b""))
    assert paths(tmp_path) == sorted(names)


def test_a_link_is_a_problem_and_not_followed(tmp_path: Path) -> None:
    make.write(tmp_path / "model", {"a": b"1"})
    (tmp_path / "outside").mkdir()
    (tmp_path / "model" / "link").symlink_to(tmp_path / "outside")
    files, problems = edge.walk(tmp_path / "model")
    assert [file.path for file in files] == ["a"]
    assert [(p.path, "symbolic link" in p.reason) for p in problems] == [("link", True)]


def test_a_pipe_is_a_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert [p.path for p in edge.walk(tmp_path)[1]] == ["pipe"]


def test_a_single_file_is_called_a_dot(tmp_path: Path) -> None:
    make.write(tmp_path, {"a": b"123"})
    [file] = edge.walk(tmp_path / "a")[0]
    assert (file.path, file.size) == (".", 3)


def test_a_single_file_that_is_named_by_a_link(tmp_path: Path) -> None:
    make.write(tmp_path, {"a": b"123"})
    (tmp_path / "link").symlink_to("a")
    files, _ = edge.walk(tmp_path / "link")
    assert edge.digests(files, "sha256", None) == [(hashlib.sha256(b"123").digest(),)]


@pytest.mark.parametrize(("name", "function"), [
    ("sha256", hashlib.sha256), ("blake2b", hashlib.blake2b), ("blake3", blake3),
])  # fmt: skip
@pytest.mark.parametrize("size", [0, 1, edge.BLOCK, edge.BLOCK + 1, 3 * edge.BLOCK - 1])
def test_whole_files(name: str, function: object, size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    make.write(tmp_path, {"a": data})
    assert edge.digests(edge.walk(tmp_path)[0], name, None) == [(function(data).digest(),)]  # type: ignore[operator]


@pytest.mark.parametrize("shard", [1, 7, 8, 9, 1000])
def test_shards(shard: int, tmp_path: Path) -> None:
    data = os.urandom(16)
    make.write(tmp_path, {"a": data})
    wanted = tuple(hashlib.sha256(data[n : n + shard]).digest() for n in range(0, 16, shard))
    assert edge.digests(edge.walk(tmp_path)[0], "sha256", shard) == [wanted]


def test_an_empty_file_has_no_shards(tmp_path: Path) -> None:
    make.write(tmp_path, {"a": b""})
    assert edge.digests(edge.walk(tmp_path)[0], "sha256", 8) == [()]


def test_an_unknown_algorithm() -> None:
    with refused(FormatError, "md5"):
        edge.digests([], "md5", None)


@pytest.mark.parametrize("now", [b"", b"12", b"1234"])
def test_a_file_that_changed_since_it_was_listed(now: bytes, tmp_path: Path) -> None:
    make.write(tmp_path, {"a": now})
    with refused(IntegrityError, "changed"):
        edge.digests([File("a", str(tmp_path), 3)], "sha256", None)


def test_a_file_that_vanished(tmp_path: Path) -> None:
    with refused(IntegrityError, "vanished"):
        edge.digests([File("a", str(tmp_path), 3)], "sha256", None)


def test_a_file_that_became_a_link(tmp_path: Path) -> None:
    make.write(tmp_path, {"b": b"123"})
    (tmp_path / "a").symlink_to("b")
    with refused(IntegrityError, "changed"):
        edge.digests([File("a", str(tmp_path), 3)], "sha256", None)


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    make.write(tmp_path)
    seen: list[int] = []
    edge.digests(edge.walk(tmp_path)[0], "sha256", 8, progress=seen.append)
    assert sum(seen) == sum(map(len, make.FILES.values()))
