from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.hashing import File, Walk, hash_file, hash_files, walk
from dataseal.ledger.manifest import MIN_CHUNK, Parameters, build
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
    real = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
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
