"""What is not read again: after a run that was cut off, and with ``--fast``."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger.errors import IntegrityError, UsageError
from dataseal.ledger.hashing import engine, remember, statekey
from dataseal.ledger.hashing.remember import Memory
from dataseal.ledger.manifest import MIN_CHUNK
from dataseal.ledger.sign import HashedFolder, hash_folder
from support.errors import refused
from support.shards import SMALL


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled though they were made just now; `test_a_file_that_changed_just_now…` has the real one."""
    monkeypatch.setattr(remember, "SETTLED", -(10**12))


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state" / "stats", tmp_path / "keys" / "stats.key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in (("a", 10), ("b", 3 * MIN_CHUNK + 7), ("sub/c", 20), ("empty", 0)):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return tmp_path / "data"


class Reads:
    """Which files are opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: set[str] = set()
        real = engine.Hands.open

        def watched(hands: Any, file: Any) -> int:
            self.paths.add(file.path)
            return real(hands, file)

        monkeypatch.setattr(engine.Hands, "open", watched)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


def run(folder: Path, memory: Memory, *, fast: bool = False, **more: Any) -> HashedFolder:
    """A command that hashes and succeeds."""
    hashed = hash_folder(folder, SMALL, memory=memory, fast=fast, **more)
    with hashed.used():
        pass
    return hashed


def cut_off(folder: Path, memory: Memory, after: int = 2, **more: Any) -> None:
    """A command that Ctrl-C ends when some files are finished."""
    count = 0

    def interrupt(_bytes: int) -> None:
        nonlocal count
        count += 1
        if count > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_folder(folder, SMALL, memory=memory, progress=interrupt, jobs=1, **more)


def fresh(folder: Path) -> bytes:
    return hash_folder(folder, SMALL).manifest.root


def touched(path: Path, data: bytes) -> None:
    """Another content of the same size, with the mtime that was there: only the ctime tells."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# --- a run that was cut off ---


def test_the_next_run_reads_only_what_was_not_finished(folder: Path, memory: Memory, reads: Reads) -> None:
    cut_off(folder, memory)
    first = set(reads.paths)
    reads.paths.clear()
    hashed = run(folder, memory)
    assert hashed.resumed == 2
    assert hashed.notes == ("resumed: 2 files were hashed by the run before, which was cut off",)
    assert len(reads.paths) == 2
    assert reads.paths | first == {"a", "b", "sub/c", "empty"}
    assert hashed.manifest.root == fresh(folder)


def test_a_third_run_goes_on_from_both(folder: Path, memory: Memory) -> None:
    cut_off(folder, memory, after=1)
    cut_off(folder, memory, after=1)
    assert run(folder, memory).resumed == 2


def test_a_command_that_fails_after_hashing_keeps_it_all(folder: Path, memory: Memory) -> None:
    hashed = hash_folder(folder, SMALL, memory=memory)
    with pytest.raises(RuntimeError), hashed.used():
        raise RuntimeError("the ledger is locked")
    assert run(folder, memory).resumed == 4


def test_a_command_that_succeeds_leaves_no_journal(folder: Path, memory: Memory, reads: Reads) -> None:
    cut_off(folder, memory)
    run(folder, memory)
    assert not list(memory.folder.glob("*.journal"))
    reads.paths.clear()
    assert run(folder, memory).resumed == 0
    assert len(reads.paths) == 4


@pytest.mark.parametrize("change", ["content", "replaced", "longer"])
def test_a_file_that_changed_in_between_is_hashed_again(folder: Path, memory: Memory, change: str) -> None:
    cut_off(folder, memory, after=3)
    for path in (folder / "a", folder / "b", folder / "sub" / "c"):
        data = path.read_bytes()
        if change == "content":
            touched(path, data[::-1])
        elif change == "replaced":
            shutil.copy2(path, folder.parent / "copy")
            os.replace(folder.parent / "copy", path)
        else:
            path.write_bytes(data + b"x")
    hashed = run(folder, memory)
    assert hashed.resumed == 1  # the empty one
    assert hashed.manifest.root == fresh(folder)


def test_a_killed_run_is_resumed_from_what_it_wrote(
    folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remember, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(remember.Journal, "keep", lambda journal: os.close(journal._descriptor))
    cut_off(folder, memory)
    monkeypatch.undo()
    monkeypatch.setattr(remember, "SETTLED", -(10**12))
    assert run(folder, memory).resumed == 2


def test_half_a_frame_costs_only_itself(folder: Path, memory: Memory) -> None:
    cut_off(folder, memory)
    (journal,) = memory.folder.glob("*.journal")
    journal.write_bytes(journal.read_bytes() + b"\0\0\1\0half")
    assert run(folder, memory).resumed == 2


def test_a_forged_journal_is_refused_aloud_and_everything_is_read(folder: Path, memory: Memory, reads: Reads) -> None:
    cut_off(folder, memory)
    (journal,) = memory.folder.glob("*.journal")
    data = bytearray(journal.read_bytes())
    data[-1] ^= 1
    journal.write_bytes(bytes(data))
    reads.paths.clear()
    hashed = run(folder, memory)
    assert (hashed.resumed, len(reads.paths)) == (0, 4)
    assert "the journal of an earlier run is refused, every file is read: its MAC does not hold" in hashed.notes[0]


def test_a_journal_from_before_the_machine_started_is_not_used(
    folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(folder, memory)
    monkeypatch.setattr(remember, "_boot", lambda: "another")
    hashed = run(folder, memory)
    assert hashed.resumed == 0
    assert "boot differ" in hashed.notes[0]


def test_an_old_journal_is_not_used(folder: Path, memory: Memory) -> None:
    cut_off(folder, memory)
    (journal,) = memory.folder.glob("*.journal")
    os.utime(journal, (1, 1))
    assert run(folder, memory).resumed == 0


def test_a_journal_says_nothing_about_other_chunks(folder: Path, memory: Memory) -> None:
    cut_off(folder, memory)
    from dataseal.ledger.manifest import Parameters

    with hash_folder(folder, Parameters(2 * MIN_CHUNK), memory=memory).used():
        pass
    assert run(folder, memory).resumed == 2


def test_two_runs_at_once_do_not_share_a_journal(folder: Path, memory: Memory) -> None:
    hashed = hash_folder(folder, SMALL, memory=memory)
    other = run(folder, memory)
    assert other.notes[0] == "another run hashes this folder: this one keeps no journal"
    with hashed.used():
        pass


def test_a_file_that_changed_just_now_is_not_remembered(
    folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could change again and keep its times: the clock that stamps is coarse."""
    monkeypatch.setattr(remember, "SETTLED", 10**12)
    cut_off(folder, memory)
    assert run(folder, memory).resumed == 0
    assert run(folder, memory, fast=True).unchanged == 0


# --- --fast ---


def test_without_fast_every_file_is_read_every_time(folder: Path, memory: Memory, reads: Reads) -> None:
    run(folder, memory)
    reads.paths.clear()
    assert run(folder, memory).unchanged == 0
    assert len(reads.paths) == 4


def test_fast_reads_what_changed_since_the_last_state(folder: Path, memory: Memory, reads: Reads) -> None:
    run(folder, memory)
    touched(folder / "sub" / "c", b"y" * 20)
    (folder / "new").write_bytes(b"new")
    (folder / "a").unlink()
    reads.paths.clear()
    hashed = run(folder, memory, fast=True)
    assert reads.paths == {"sub/c", "new"}
    assert hashed.unchanged == 2
    assert hashed.manifest.root == fresh(folder)
    reads.paths.clear()
    assert run(folder, memory, fast=True).unchanged == 4
    assert not reads.paths


def test_fast_says_when_it_knows_nothing_yet(folder: Path, memory: Memory) -> None:
    assert "knows nothing of this folder yet" in run(folder, memory, fast=True).notes[0]


@pytest.mark.parametrize("damage", ["flip", "key", "empty"])
def test_a_forged_cache_is_refused_aloud_and_everything_is_read(
    folder: Path, memory: Memory, reads: Reads, damage: str
) -> None:
    run(folder, memory)
    (cache,) = memory.folder.glob("*.cache")
    data = bytearray(cache.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        cache.write_bytes(bytes(data))
    elif damage == "empty":
        cache.write_bytes(b"")
    else:
        memory.key.unlink()
    reads.paths.clear()
    hashed = run(folder, memory, fast=True)
    assert (hashed.unchanged, len(reads.paths)) == (0, 4)
    assert "the cache of --fast is refused, every file is read" in hashed.notes[0]
    assert run(folder, memory, fast=True).unchanged == 4


def test_a_cache_of_another_folder_is_refused(folder: Path, memory: Memory) -> None:
    run(folder, memory)
    (cache,) = memory.folder.glob("*.cache")
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    os.replace(cache, memory.of(other, SMALL, "signed").cache)
    assert "folder, inode differ" in run(other, memory, fast=True).notes[0]


def test_a_cache_of_another_machine_is_refused(folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder, memory)
    monkeypatch.setattr(remember, "_host", lambda: "another")
    hashed = run(folder, memory, fast=True)
    assert hashed.unchanged == 0
    assert "host differ" in hashed.notes[0]


def test_a_folder_in_anothers_place_is_another_folder(folder: Path, memory: Memory) -> None:
    run(folder, memory)
    folder.rename(folder.parent / "moved")
    shutil.copytree(folder.parent / "moved", folder)
    assert run(folder, memory, fast=True).unchanged == 0


def test_a_network_file_system_is_not_believed(
    folder: Path, memory: Memory, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(folder, memory)
    monkeypatch.setattr(remember, "why_not", lambda _: "/data is a file system of type 'nfs'")
    reads.paths.clear()
    hashed = run(folder, memory, fast=True)
    assert (hashed.unchanged, len(reads.paths)) == (0, 4)
    assert hashed.notes == ("--fast is not possible here, every file is read: /data is a file system of type 'nfs'",)


def test_a_memory_inside_the_dataset_is_not_made(folder: Path) -> None:
    """It would be signed, and shipped."""
    inside = Memory(folder / "state" / "stats", folder / "stats.key")
    for _ in range(2):
        hashed = run(folder, inside, fast=True)
        assert (hashed.resumed, hashed.unchanged) == (0, 0)
        assert "the memory would lie inside the dataset" in hashed.notes[0]
    assert not (folder / "state").exists()
    assert not (folder / "stats.key").exists()


def test_what_was_verified_is_not_taken_as_signed(folder: Path, memory: Memory) -> None:
    """A verification does not look for private keys."""
    run(folder, memory)
    (cache,) = memory.folder.glob("*.cache")
    os.replace(cache, memory.of(folder, SMALL, "verified").cache)
    assert run(folder, memory, fast=True).unchanged == 0
    os.replace(memory.of(folder, SMALL, "signed").cache, memory.of(folder, SMALL, "verified").cache)
    notes: list[str] = []
    assert memory.of(folder, SMALL, "verified").load_cache(notes) == {}
    assert "purpose differ" in notes[0]


def test_the_key_is_its_owners_alone(folder: Path, memory: Memory) -> None:
    run(folder, memory)
    assert stat.S_IMODE(memory.key.stat().st_mode) == 0o600
    assert len(memory.key.read_bytes()) == 32
    memory.key.chmod(0o644)
    with refused(UsageError, "not its owner's alone", "remove it"):
        statekey.load(memory.key)
    hashed = run(folder, memory, fast=True)
    assert (hashed.resumed, hashed.unchanged) == (0, 0)
    assert "every file is read: this key file is not its owner's alone" in hashed.notes[0]
    run(folder, memory)  # which needs no memory


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_a_key_that_is_none_is_refused(folder: Path, memory: Memory, data: bytes) -> None:
    memory.key.parent.mkdir()
    memory.key.touch(0o600)
    memory.key.write_bytes(data)
    with refused(UsageError, "or no key"):
        statekey.load(memory.key)
    hashed = run(folder, memory, fast=True)
    assert hashed.unchanged == 0
    assert "or no key" in hashed.notes[0]


def test_a_key_that_is_a_link_is_not_followed(folder: Path, memory: Memory) -> None:
    memory.key.parent.mkdir()
    memory.key.symlink_to("/etc/hostname")
    hashed = run(folder, memory, fast=True)
    assert hashed.unchanged == 0
    assert "every file is read: can't use the key" in hashed.notes[0]


def test_where_no_key_can_be_made_everything_is_read(folder: Path, memory: Memory) -> None:
    """A workspace whose keys are mounted read-only signs as ever."""
    memory.key.parent.write_bytes(b"no folder")
    for _ in range(2):
        hashed = run(folder, memory, fast=True)
        assert (hashed.resumed, hashed.unchanged) == (0, 0)
        assert "every file is read: can't use the key" in hashed.notes[0]
    cut_off(folder, memory)
    assert run(folder, memory).resumed == 0


# --- a file that was appended to ---


def chunks_hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    real = engine.Job.__init__

    def watched(job: Any, *args: Any, **more: Any) -> None:
        real(job, *args, **more)
        digest = job.digest

        def counted(view: memoryview, size: int) -> bytes:
            seen.append(len(view))
            return digest(view, size)

        job.digest = counted

    monkeypatch.setattr(engine.Job, "__init__", watched)
    return seen


@pytest.mark.parametrize("old", [3 * MIN_CHUNK, 3 * MIN_CHUNK + 7, 9 * MIN_CHUNK - 1])
@pytest.mark.parametrize("more", [1, MIN_CHUNK - 7, 5 * MIN_CHUNK])
def test_an_append_hashes_the_chunks_that_it_touched(
    folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch, old: int, more: int
) -> None:
    (folder / "b").write_bytes(os.urandom(old))
    run(folder, memory)
    with (folder / "b").open("ab") as stream:
        stream.write(os.urandom(more))
    seen = chunks_hashed(monkeypatch)
    hashed = run(folder, memory, fast=True)
    assert hashed.unchanged == 3
    assert sum(seen) == old % MIN_CHUNK + more
    assert hashed.manifest.root == fresh(folder)


def test_a_file_that_grew_and_changed_before_its_old_end_is_hashed_whole(
    folder: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time or size tells this from an append; the SHA-256 at the old end does."""
    run(folder, memory)
    data = bytearray((folder / "b").read_bytes())
    data[5] ^= 1
    (folder / "b").write_bytes(bytes(data) + b"more")
    assert run(folder, memory, fast=True).manifest.root == fresh(folder)


# --- the folder meanwhile ---


def test_a_folder_that_became_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "c").write_bytes((folder / "sub" / "c").read_bytes())
    once = threading.Event()

    def swap(_bytes: int) -> None:
        if not once.is_set():
            once.set()
            (folder / "sub").rename(tmp_path / "away")
            (folder / "sub").symlink_to(secret)

    with refused(IntegrityError, "sub/c"):
        hash_folder(folder, SMALL, progress=swap, jobs=1)
