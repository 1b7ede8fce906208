from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.hashing.mounts import LOCAL, why_not


def table(tmp_path: Path, **mounts: str) -> Path:
    path = tmp_path / "mountinfo"
    lines = [f"{n} 1 0:{n} / {point} rw shared:1 - {kind} none rw" for n, (point, kind) in enumerate(mounts.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", sorted(LOCAL))
def test_local_file_systems_are_believed(tmp_path: Path, kind: str) -> None:
    assert why_not("/data", table(tmp_path, **{"/": kind})) is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse", "fuse.sshfs", "9p", "virtiofs", "vfat", "new"])
def test_any_other_is_not(tmp_path: Path, kind: str) -> None:
    assert why_not("/", table(tmp_path, **{"/": kind})) == f"/ is a file system of type {kind!r}"


def test_the_longest_mount_point_above_counts(tmp_path: Path) -> None:
    mounts = table(tmp_path, **{"/": "ext4", "/data": "nfs", "/data/local": "xfs", "/database": "nfs"})
    assert why_not("/data/x", mounts) == "/data is a file system of type 'nfs'"
    assert why_not("/data/local/x", mounts) is None
    assert why_not("/dat", mounts) is None


def test_a_mount_below_counts_too(tmp_path: Path) -> None:
    mounts = table(tmp_path, **{"/": "ext4", "/data/remote": "nfs4"})
    assert why_not("/data", mounts) == "/data/remote is a file system of type 'nfs4'"
    assert why_not("/other", mounts) is None


def test_a_later_mount_hides_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "mountinfo"
    path.write_text("1 1 0:1 / / rw - ext4 none rw\n2 1 0:2 / / rw - nfs none rw\n")
    assert why_not("/", path) is not None


def test_escaped_mount_points(tmp_path: Path) -> None:
    mounts = table(tmp_path, **{"/": "ext4", "/my\\040data": "nfs"})
    assert why_not("/my data/x", mounts) == "/my data is a file system of type 'nfs'"


@pytest.mark.parametrize("text", ["", "nonsense\n", "1 2 3\n"])
def test_what_can_not_be_told_is_not_believed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(text)
    assert why_not("/data", path) == "no mount point is above /data"


def test_no_table_is_not_believed(tmp_path: Path) -> None:
    assert "can't be read" in str(why_not("/data", tmp_path / "none"))


def test_a_link_is_followed_to_where_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/data")
    mounts = table(tmp_path, **{"/": "ext4", "/data": "nfs"})
    assert why_not(str(tmp_path / "link" / "x"), mounts) is not None
