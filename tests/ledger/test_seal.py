"""The seal's folder, and the content-addressed objects."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger import objects as object_module
from dataseal.ledger import seal
from dataseal.ledger.errors import IntegrityError, Unavailable, UsageError
from dataseal.ledger.objects import Objects
from support.errors import refused
from support.workspaces import tree

DIGEST = "ab" * 32
FILES = {"shards.parquet": b"table", "release/1.sigstore.json": b"bundle", "release/1.tlog-proof": b"proof"}


# --- the closed set of names ---


def test_the_docstrings_names_are_known() -> None:
    names = re.findall(r"^    \.dataseal/(\S+)", seal.__doc__ or "", re.MULTILINE)
    assert len(names) == 7
    for name in names:
        made = name.replace("<n>", "1").replace("<index>", "00000007").replace("<sha256>", DIGEST)
        assert seal.known(made), name


@pytest.mark.parametrize(
    "name",
    [
        "shards.parquet",
        "release/1.sigstore.json",
        "release/999.tlog-proof",
        "history/00000000.sigstore.json",
        "history/99999999.tlog-proof",
        "history/100000000.tlog-proof",
        f"objects/{DIGEST}",
    ],
)
def test_names_of_the_set(name: str) -> None:
    assert seal.known(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "shards.parquet2",
        "shards.parquet\n",
        "shards.parquet/x",
        "Shards.parquet",
        "./shards.parquet",
        "../shards.parquet",
        "x/shards.parquet",
        "release/0.sigstore.json",
        "release/01.sigstore.json",
        "release/1000.sigstore.json",
        "release/1.sigstore.json.bak",
        "release/1.json",
        "release/1.sigstore.json\n",
        "release/١.sigstore.json",
        "history/1.sigstore.json",
        "history/000000001.sigstore.json",
        "history/0100000000.sigstore.json",
        "history/-0000001.tlog-proof",
        f"objects/{DIGEST[:-1]}",
        f"objects/{DIGEST.upper()}",
        f"objects/{DIGEST}.txt",
        f"objects/ab/{DIGEST}",
        "evil.py",
        ".hidden",
        "release/",
        "objects/",
    ],
)
def test_any_other_name_is_not_known(name: str) -> None:
    assert not seal.known(name)


@given(st.integers(0, 10**12), st.sampled_from(["sigstore.json", "tlog-proof"]))
def test_every_index_has_one_name(index: int, kind: str) -> None:
    name = seal.history_name(index, kind)
    assert seal.known(name)
    assert seal.history({name: b""}) == [index]


def test_numbers_of_signers_and_history_are_read_from_the_names() -> None:
    names = ["release/2.tlog-proof", "release/1.sigstore.json", "release/2.sigstore.json", "release/x.tlog-proof"]
    assert seal.releases(dict.fromkeys(names)) == [1, 2]


# --- replacing it ---


def test_a_seal_is_written_as_given(tmp_path: Path) -> None:
    seal.replace(tmp_path, FILES)
    assert tree(tmp_path / ".dataseal") == FILES
    assert os.listdir(tmp_path) == [".dataseal"]


def test_a_seal_is_replaced_as_a_whole(tmp_path: Path) -> None:
    seal.replace(tmp_path, FILES | {f"objects/{DIGEST}": b"old"})
    seal.replace(tmp_path, FILES | {"shards.parquet": b"new"})
    assert tree(tmp_path / ".dataseal") == FILES | {"shards.parquet": b"new"}
    assert os.listdir(tmp_path) == [".dataseal"]


@pytest.mark.parametrize("at", range(4))
def test_a_full_disk_leaves_the_old_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    seal.replace(tmp_path, {"shards.parquet": b"old"})
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > at:
            raise OSError(28, "No space left on device")
        real(descriptor)

    def no_rename(self: Path, target: Path) -> Path:
        if self.name == ".dataseal.new":
            raise OSError(28, "No space left on device")
        os.rename(self, target)
        return target

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(Path, "rename", no_rename)
    with refused(Unavailable, "No space left", "run the same command again"):
        seal.replace(tmp_path, FILES)
    assert tree(tmp_path) == {".dataseal/shards.parquet": b"old"}


STATES = {
    "half a new one": {".dataseal": b"old", ".dataseal.new": b"half"},
    "between the renames": {".dataseal.old": b"old", ".dataseal.new": b"complete"},
    "old one left": {".dataseal": b"old", ".dataseal.old": b"older"},
    "only the old one": {".dataseal.old": b"old"},
    "nothing to do": {".dataseal": b"old"},
}


@pytest.mark.parametrize("left", STATES.values(), ids=STATES.keys())
def test_what_a_crash_left_is_cleared(tmp_path: Path, left: dict[str, bytes]) -> None:
    for name, data in left.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "shards.parquet").write_bytes(data)
    seal.recover(tmp_path)
    assert tree(tmp_path) == {".dataseal/shards.parquet": b"old"}
    assert os.listdir(tmp_path) == [".dataseal"]


def test_recovering_follows_no_links(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"x")
    (tmp_path / "set").mkdir()
    for name in (".dataseal.new", ".dataseal.old"):
        (tmp_path / "set" / name).symlink_to(precious)
    seal.recover(tmp_path / "set")
    assert (precious / "file").read_bytes() == b"x"


def test_a_folder_that_can_not_be_cleared_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dataseal.new").mkdir()

    def denied(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(seal.shutil, "rmtree", denied)
    with refused(Unavailable, "Permission denied", ".dataseal.new"):
        seal.recover(tmp_path)


# --- objects ---


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(tmp_path / "objects")


def test_an_object_is_found_by_its_digest(objects: Objects) -> None:
    digest = objects.put(b"content")
    assert digest == hashlib.sha256(b"content").hexdigest()
    assert objects.get(digest, what="it") == b"content"


def test_storing_again_changes_nothing(objects: Objects) -> None:
    digest = objects.put(b"content")
    before = {p: p.stat().st_mtime_ns for p in objects.folder.rglob("*")}
    assert objects.put(b"content") == digest
    assert {p: p.stat().st_mtime_ns for p in objects.folder.rglob("*")} == before


def test_a_missing_object_names_itself_and_what_it_is(objects: Objects) -> None:
    with refused(UsageError, DIGEST, "delta of entry 3", str(objects.folder)):
        objects.get(DIGEST, what="delta of entry 3")


@pytest.mark.parametrize("altered", [b"", b"Content", b"content\n"])
def test_an_altered_object_is_an_integrity_error(objects: Objects, altered: bytes) -> None:
    digest = objects.put(b"content")
    (objects.folder / digest[:2] / digest).write_bytes(altered)
    with refused(IntegrityError, digest, "altered", "shard table"):
        objects.get(digest, what="shard table")


def test_storing_mends_an_altered_object(objects: Objects) -> None:
    """It said "stored" because a file of that name was there."""
    digest = objects.put(b"content")
    (objects.folder / digest[:2] / digest).write_bytes(b"cut sh")
    assert objects.put(b"content") == digest
    assert objects.get(digest, what="it") == b"content"


def test_a_full_disk_leaves_no_object(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(object_module.os, "fsync", full)
    with refused(Unavailable, "No space left", "nothing was recorded"):
        objects.put(b"content")
    assert tree(objects.folder) == {}


def test_an_object_that_can_not_be_read_is_no_verdict(objects: Objects) -> None:
    (objects.folder / DIGEST[:2] / DIGEST).mkdir(parents=True)
    with refused(Unavailable, "directory"):
        objects.get(DIGEST, what="it")
