from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger.digest import chunk_hasher
from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.hashing import File, Walk, engine, hash_chunks, hash_file, hash_files, tasks, walk
from dataseal.ledger.manifest import MIN_CHUNK, Parameters, build, encode_table
from support.errors import refused
from support.shards import SMALL, shard


def write(folder: Path, **files: bytes | str) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def put(folder: Path, path: str, data: bytes = b"data") -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def file_of(path: Path) -> File:
    return File(path.name, str(path.parent), path.stat().st_size)


def paths(found: Walk) -> list[str]:
    return [f.path for f in found.files]


# --- the walk ---


def test_files_stand_in_the_order_of_their_paths_bytes(tmp_path: Path) -> None:
    for name in ("b", "a/b", "a.b", "a/a", "é", "Z", "a-b/c"):
        put(tmp_path, name)
    assert paths(walk(tmp_path)) == ["Z", "a-b/c", "a.b", "a/a", "a/b", "b", "é"]


@pytest.mark.parametrize("name", ["gone", "file"])
def test_what_is_no_folder_is_a_usage_error(tmp_path: Path, name: str) -> None:
    put(tmp_path, "file")
    with refused(UsageError, name, "give the folder"):
        walk(tmp_path / name)


@pytest.mark.parametrize("target", ["/etc/passwd", "a", "nowhere", ".", "../.."])
def test_a_symlink_is_a_problem_that_names_its_target(tmp_path: Path, target: str) -> None:
    put(tmp_path, "a")
    (tmp_path / "link").symlink_to(target)
    found = walk(tmp_path)
    assert paths(found) == ["a"]
    assert [(p.path, target in p.reason) for p in found.problems] == [("link", True)]


def test_a_symlink_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "real/secret")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    found = walk(tmp_path)
    assert paths(found) == ["real/secret"]
    assert [p.path for p in found.problems] == ["link"]


@pytest.mark.parametrize("name", [".dataseal", ".git"])
def test_a_left_out_name_that_is_a_link_is_not_left_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/etc")
    found = walk(tmp_path)
    assert found.left_out == ()
    assert [p.path for p in found.problems] == [name]


def test_a_fifo_and_a_socket_are_problems_and_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        found = walk(tmp_path)
    assert [p.path for p in found.problems] == ["fifo", "socket"]
    assert all("plain files only" in p.reason for p in found.problems)


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "\x1b[31m", "\x7f"])
def test_a_name_that_breaks_the_rules_is_a_problem(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert [p.path for p in walk(tmp_path).problems] == [name]


def test_a_name_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")).write_bytes(b"")
    problems = walk(tmp_path).problems
    assert ["not UTF-8" in p.reason for p in problems] == [True]


def test_three_folders_are_left_out_at_the_top_level_only(tmp_path: Path) -> None:
    left = (".dataseal", ".git", ".cache/huggingface")
    for name in left:
        put(tmp_path, f"{name}/x")
        put(tmp_path, f"data/{name}/x")
    put(tmp_path, ".cache/other")
    found = walk(tmp_path)
    assert found.left_out == (".cache/huggingface", ".dataseal", ".git")
    assert paths(found) == [".cache/other", *(f"data/{name}/x" for name in sorted(left))]


@pytest.mark.parametrize("name", [".DATASEAL", ".Git", ".dataseal2", ".gitignore", "git"])
def test_a_folder_with_a_similar_name_is_not_left_out(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{name}/x")
    found = walk(tmp_path)
    assert found.left_out == ()
    assert len(found.files) + len(found.problems) == 1


def test_what_an_exclusion_matches_is_listed_and_not_judged(tmp_path: Path) -> None:
    for name in ("a.tmp", "sub/b.tmp", "keep", "sub/keep"):
        put(tmp_path, name)
    (tmp_path / "link.tmp").symlink_to("/etc")
    found = walk(tmp_path, ["*.tmp"])
    assert paths(found) == ["keep", "sub/keep"]
    assert found.excluded == ("a.tmp", "link.tmp", "sub/b.tmp")
    assert found.problems == ()


def test_an_exclusion_matches_whole_paths_and_their_case(tmp_path: Path) -> None:
    for name in ("a", "b/a", "A"):
        put(tmp_path, name)
    assert walk(tmp_path, ["a"]).excluded == ("a",)


def test_a_tree_of_any_depth_is_walked(tmp_path: Path) -> None:
    """Whoever makes a dataset chooses how deep it nests: it was a RecursionError."""
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1000):
            os.mkdir("d")
            os.chdir("d")
        Path("deep").write_bytes(b"")
    finally:
        os.chdir(before)
    found = walk(tmp_path)
    assert [p.path for p in found.problems] == ["d/" * 1000 + "deep"]
    import subprocess

    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_folder_that_can_not_be_listed_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "sub/a")
    real = os.open

    def denied(path: str, flags: int, **more: Any) -> int:
        if str(path).rstrip("/").endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", denied)
    with refused(Unavailable, "sub", "Permission denied", "permissions"):
        walk(tmp_path)


# --- the bytes ---


@pytest.mark.parametrize("chunk_hash", ["sha256", "blake3"])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [0, 1, MIN_CHUNK - 1, MIN_CHUNK, MIN_CHUNK + 1, 3 * MIN_CHUNK, 3 * MIN_CHUNK + 7])
def test_chunks_tile_the_file(tmp_path: Path, size: int, whole: bool, chunk_hash: str) -> None:
    data = os.urandom(size)
    put(tmp_path, "a", data)
    parameters = Parameters(MIN_CHUNK, chunk_hash)
    made = hash_file(file_of(tmp_path / "a"), parameters, whole=whole)
    assert made.size == size
    assert made.chunk_count == -(-size // MIN_CHUNK)
    if chunk_hash == "sha256":
        expected = shard("a", data)
        assert (made.root, made.chunks) == (expected.root, expected.chunks)
    free = chunk_hash == "sha256" and size <= MIN_CHUNK
    assert made.sha256 == (hashlib.sha256(data).digest() if whole or free else b"")


def test_blake3_and_sha256_chunks_differ(tmp_path: Path) -> None:
    put(tmp_path, "a")
    one, two = (hash_file(file_of(tmp_path / "a"), Parameters(chunk_hash=h)) for h in ("sha256", "blake3"))
    assert one.chunks != two.chunks
    assert one.sha256 == two.sha256


def test_short_reads_do_not_move_chunk_borders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(3 * MIN_CHUNK + 5)
    put(tmp_path, "a", data)

    whole = os.preadv

    def slow(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        (buffer,) = buffers
        return whole(descriptor, [buffer[: max(1, len(buffer) // 3)]], offset)

    monkeypatch.setattr(os, "preadv", slow)
    assert hash_file(file_of(tmp_path / "a"), SMALL) == shard("a", data)


@pytest.mark.parametrize("jobs", [1, 2, 7, 0, -1, None])
def test_the_number_of_jobs_and_their_order_change_nothing(tmp_path: Path, jobs: int | None) -> None:
    for number in range(20):
        put(tmp_path, f"{number:02}", os.urandom(number * 10_000))
    files = walk(tmp_path).files
    made = hash_files(files, SMALL, jobs=jobs)
    assert [s.path for s in made] == [f.path for f in files]
    assert build(made, SMALL) == build(hash_files(files[::-1], SMALL, jobs=3), SMALL)


FILES = st.lists(st.integers(0, 6 * MIN_CHUNK), min_size=1, max_size=8)


@pytest.mark.parametrize("whole", [True, False])
@given(sizes=FILES, jobs=st.integers(1, 5), part=st.integers(1, 4), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_any_cut_order_and_number_of_jobs_give_the_same_manifest(
    tmp_path_factory: pytest.TempPathFactory, whole: bool, sizes: list[int], jobs: int, part: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("files")
    random = Random(seed)
    contents = {str(number): random.randbytes(size) for number, size in enumerate(sizes)}
    for name, data in contents.items():
        put(folder, name, data)
    files = list(walk(folder).files)
    random.shuffle(files)
    with mock.patch.multiple(tasks, PART=part * MIN_CHUNK), mock.patch.multiple(engine, TINY=100_000, BATCH=150_000):
        made = hash_files(files, SMALL, whole=whole, jobs=jobs)
    assert [s.path for s in made] == [f.path for f in files]
    expected = [shard(f.path, contents[f.path]) for f in files]
    if whole:
        assert encode_table(build(made, SMALL)) == encode_table(build(expected, SMALL))
    assert [(s.size, s.root, s.chunks) for s in made] == [(s.size, s.root, s.chunks) for s in expected]


@pytest.mark.parametrize("helpers", [0, 1])
def test_a_piped_file_needs_no_helper(tmp_path: Path, helpers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second task of a pipe may be taken late, or never."""
    data = os.urandom(9 * MIN_CHUNK + 5)
    put(tmp_path, "a", data)
    if not helpers:
        monkeypatch.setattr(tasks.Pipe, "_help", lambda *_: None)
    assert hash_files(walk(tmp_path).files, SMALL, jobs=2) == [shard("a", data)]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_ctrl_c_stops_all_threads_at_once(tmp_path: Path, jobs: int, whole: bool) -> None:
    """A file that would take minutes, and an interrupt at its first buffer."""
    os.truncate(put(tmp_path, "a", b""), 2**38)

    def interrupt(_bytes: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        hash_files(walk(tmp_path).files, Parameters(), jobs=jobs, whole=whole, progress=interrupt)
    assert threading.active_count() == before


@pytest.mark.parametrize("whole", [True, False])
def test_a_huge_file_that_changes_under_two_threads_is_refused(tmp_path: Path, whole: bool) -> None:
    path = put(tmp_path, "a", b"x" * 40 * MIN_CHUNK)
    once = threading.Event()

    def meddle(_bytes: int) -> None:
        if not once.is_set():
            once.set()
            overwrite(path)

    with mock.patch.multiple(tasks, PART=MIN_CHUNK), refused(IntegrityError, "changed while it was read"):
        hash_files(walk(tmp_path).files, SMALL, jobs=2, whole=whole, progress=meddle)


def test_a_file_that_changed_between_walk_and_read_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, "a")
    files = walk(tmp_path).files
    path.write_bytes(b"DATA")
    os.utime(path, ns=(1, 1))
    with refused(IntegrityError, "changed while it was read"):
        hash_files(files, SMALL)


def test_a_folder_that_became_a_link_after_the_walk_is_not_followed(tmp_path: Path) -> None:
    put(tmp_path, "data/x/y/a")
    files = walk(tmp_path / "data").files
    (tmp_path / "data" / "x").rename(tmp_path / "elsewhere")
    (tmp_path / "data" / "x").symlink_to(tmp_path / "elsewhere")
    with refused(IntegrityError, "x/y/a"):
        hash_files(files, SMALL)


def test_the_named_folder_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path, "data/x/a")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert [s.path for s in hash_files(walk(tmp_path / "link").files, SMALL)] == ["x/a"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    for path in ("a", "x/y/b", "x/c", "z/d"):
        put(tmp_path, path)
    files = walk(tmp_path).files
    before = len(os.listdir("/proc/self/fd"))
    hash_files(files, SMALL, jobs=2)
    (tmp_path / "x" / "c").unlink()
    with refused(IntegrityError, "x/c"):
        hash_files(files, SMALL, jobs=2)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, 10, 3 * MIN_CHUNK + 1])
def test_a_copy_from_the_buffers_is_what_was_hashed(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    copy = bytearray()
    put(tmp_path, "a", data)
    made = hash_file(file_of(tmp_path / "a"), SMALL, sink=copy.extend)
    assert bytes(copy) == data
    assert made == shard("a", data)


def test_a_copy_that_can_not_be_written_is_no_read_error(tmp_path: Path) -> None:
    put(tmp_path, "a")

    def full(_view: memoryview) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        hash_file(file_of(tmp_path / "a"), SMALL, sink=full)


@pytest.mark.parametrize("jobs", [1, 3])
def test_some_chunks_are_read_and_nothing_else(tmp_path: Path, jobs: int) -> None:
    content = os.urandom(40 * MIN_CHUNK + 3)
    put(tmp_path, "a", content)
    put(tmp_path, "b", b"y" * 10)
    whole = shard("a", content)
    read: list[int] = []
    a, b = walk(tmp_path).files
    numbers = [0, 1, 5, *range(7, 30), 40]
    found = hash_chunks([(a, numbers), (b, [0])], SMALL, jobs=jobs, progress=read.append)
    assert found == [b"".join(whole.chunk(n) for n in numbers), shard("b", b"y" * 10).chunks]
    assert sum(read) == 26 * MIN_CHUNK + 3 + 10


@pytest.mark.parametrize("number", [-1, 1, 2**40])
def test_a_chunk_that_a_file_does_not_have(tmp_path: Path, number: int) -> None:
    put(tmp_path, "a")
    with refused(IntegrityError, "changed"):
        hash_chunks([(walk(tmp_path).files[0], [number])], SMALL)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("chunk_hash", ["sha256", "blake3"])
@pytest.mark.parametrize("size", [300_000, 2**19 - 1, 2**19, 2**19 + 1, 3 * 2**19, 3 * 2**19 + 300_000])
def test_chunks_that_are_larger_than_what_is_read_at_once(
    tmp_path: Path, size: int, chunk_hash: str, jobs: int
) -> None:
    parameters = Parameters(2**19, chunk_hash)
    one = chunk_hasher(chunk_hash)
    data = os.urandom(size)
    put(tmp_path, "a", data)
    files = walk(tmp_path).files
    chunks = [one(data[i : i + 2**19]) for i in range(0, size, 2**19)]
    for whole in (True, False):
        (made,) = hash_files(files, parameters, whole=whole, jobs=jobs)
        assert made.chunks == b"".join(chunks)
        free = chunk_hash == "sha256" and size <= 2**19
        assert made.sha256 == (hashlib.sha256(data).digest() if whole or free else b"")
    for number, digest in enumerate(chunks):
        assert hash_chunks([(files[0], [number])], parameters) == [digest]
    put(tmp_path, "a", data + b"more" * 100_000)
    known = {"a": made._replace(sha256=hashlib.sha256(data).digest())}
    grown = walk(tmp_path).files
    assert hash_files(grown, parameters, jobs=jobs, shorter=known) == hash_files(grown, parameters, jobs=1)


def test_no_files_are_no_shards() -> None:
    assert hash_files([], SMALL) == []


def test_progress_adds_up_to_the_bytes(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, str(number), b"x" * number * 50_000)
    seen: list[int] = []
    hash_files(walk(tmp_path).files, SMALL, jobs=2, progress=seen.append)
    assert sum(seen) == 500_000


def append(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def overwrite(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.write(b"XXXX")
    os.utime(path, ns=(1, 1))


CHANGES: dict[str, Callable[[Path], object]] = {
    "grown": append,
    "cut": lambda path: os.truncate(path, 10),
    "overwritten": overwrite,
    "emptied": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("size", [100, 3 * MIN_CHUNK])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, change: Callable[[Path], object], size: int
) -> None:
    path = put(tmp_path, "a", b"x" * size)
    once = threading.Event()

    def meddle(_bytes: int) -> None:
        if not once.is_set():
            once.set()
            change(path)

    with refused(IntegrityError, "changed while it was read", "a", "run again"):
        hash_file(file_of(path), SMALL, progress=meddle)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_file_that_changed_size_between_walk_and_read_is_refused(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = put(tmp_path, "a", b"x" * 200)
    file = file_of(path)
    change(path)
    if path.stat().st_size == file.size:
        assert hash_file(file, SMALL).root == shard("a", path.read_bytes()).root
        return
    with refused(IntegrityError, "changed while it was read"):
        hash_file(file, SMALL)


def test_a_file_that_never_ends_is_given_up(tmp_path: Path) -> None:
    with refused(IntegrityError, "changed"):
        hash_file(File("zero", "/dev", 10), SMALL)


REPLACEMENTS: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a pipe": os.mkfifo,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("replace", REPLACEMENTS.values(), ids=REPLACEMENTS.keys())
def test_what_takes_a_files_place_after_the_walk_is_not_read(tmp_path: Path, replace: Callable[[Path], object]) -> None:
    """A pipe with no writer would block the open for ever."""
    path = put(tmp_path, "a")
    file = file_of(path)
    path.unlink()
    replace(path)
    with refused(IntegrityError, "changed while it was read", "a"):
        hash_file(file, SMALL)


def test_a_file_that_vanished_is_an_integrity_error(tmp_path: Path) -> None:
    path = put(tmp_path, "a")
    file = file_of(path)
    path.unlink()
    with refused(IntegrityError, "vanished", "a"):
        hash_files([file], SMALL)


def test_a_folder_that_vanished_is_an_integrity_error(tmp_path: Path) -> None:
    put(tmp_path, "sub/a")
    (file,) = walk(tmp_path).files
    (tmp_path / "sub" / "a").unlink()
    (tmp_path / "sub").rmdir()
    (tmp_path / "sub").write_bytes(b"")
    with refused(IntegrityError, "vanished", "sub/a"):
        hash_files([file], SMALL)


def test_a_file_that_can_not_be_read_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(put(tmp_path, "a"))

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with refused(Unavailable, "Permission denied", "a", "permissions"):
        hash_file(file, SMALL)


def test_a_read_error_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = file_of(put(tmp_path, "a"))

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with refused(Unavailable, "Input/output error"):
        hash_file(file, SMALL)


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_bad_file_among_many_stops_them_all(tmp_path: Path, jobs: int) -> None:
    for number in range(50):
        put(tmp_path, str(number))
    files = walk(tmp_path).files
    (tmp_path / "17").unlink()
    with refused(IntegrityError, "vanished", "17"):
        hash_files(files, SMALL, jobs=jobs)


def test_each_file_is_inspected_once_with_its_first_chunk(tmp_path: Path) -> None:
    contents = {"empty": b"", "small": b"abc", "large": os.urandom(MIN_CHUNK * 2 + 1)}
    for name, data in contents.items():
        put(tmp_path, name, data)
    seen: dict[str, bytes] = {}

    def inspect(file: File, head: memoryview) -> None:
        assert file.path not in seen
        seen[file.path] = bytes(head)

    hash_files(walk(tmp_path).files, SMALL, inspect=inspect)
    assert seen == {name: data[:MIN_CHUNK] for name, data in contents.items()}


def test_an_inspection_that_refuses_stops_the_run(tmp_path: Path) -> None:
    put(tmp_path, "a")

    def inspect(file: File, head: memoryview) -> None:
        raise UsageError("not this one", where=file.path)

    with refused(UsageError, "not this one"):
        hash_files(walk(tmp_path).files, SMALL, inspect=inspect)


def test_memory_is_one_chunk_however_large_the_file(tmp_path: Path) -> None:
    import tracemalloc

    path = put(tmp_path, "a", b"")
    os.truncate(path, 64 * 1024 * 1024)
    tracemalloc.start()
    try:
        hash_file(file_of(path), SMALL)
        assert tracemalloc.get_traced_memory()[1] < 10 * MIN_CHUNK
    finally:
        tracemalloc.stop()
