"""`dataseal verify`: every change to the files of a signed dataset blocks, alone, and is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dataseal.ledger.bundle import parse as parse_bundle
from dataseal.ledger.digest import sha256
from dataseal.ledger.manifest import build, encode_table, parse_table
from dataseal.ledger.statement import parse as parse_statement
from support.cli import blocked, passed
from support.datasets import CHUNK, NAME, SIZE_A, World, flip, write


def test_an_untouched_copy_passes(world: World) -> None:
    passed(world.verify(world.copy()), f"{NAME}@1.1.0")


@pytest.mark.parametrize(
    ("offset", "span"),
    [(0, (0, CHUNK - 1)), (2 * CHUNK, (2 * CHUNK, 3 * CHUNK - 1)), (SIZE_A - 1, (4 * CHUNK, SIZE_A - 1))],
    ids=["first byte", "first byte of the third chunk", "last byte"],
)
def test_one_flipped_bit_names_the_file_and_its_chunk(world: World, offset: int, span: tuple[int, int]) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", offset)
    blocked(world.verify(copy), "integrity.changed", f"at    data/a.bin bytes {span[0]}-{span[1]}\n")


def test_flips_in_neighbouring_chunks_are_one_range_and_in_distant_ones_two(world: World) -> None:
    copy = world.copy()
    for chunk in (0, 1, 4):
        flip(copy / "data" / "a.bin", chunk * CHUNK + 5)
    said = world.verify(copy)
    blocked(said, "integrity.changed", f"bytes 0-{2 * CHUNK - 1}\n", f"bytes {4 * CHUNK}-{SIZE_A - 1}\n")


def test_an_added_file_is_named(world: World) -> None:
    copy = world.copy()
    write(copy / "data" / "poison.bin", b"x" * 3)
    blocked(world.verify(copy), "integrity.extra", "'data/poison.bin'", "3 bytes", "at    data/poison.bin\n")


def test_an_added_empty_file_is_named(world: World) -> None:
    copy = world.copy()
    write(copy / "data" / "__init__.py", b"")
    blocked(world.verify(copy), "integrity.extra", "data/__init__.py")


def test_a_removed_file_is_named(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "b.bin").unlink()
    blocked(world.verify(copy), "integrity.missing", "'data/b.bin'", "10,000 bytes")


def test_a_renamed_shard_is_called_renamed(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "b.bin").rename(copy / "data" / "z.bin")
    said = world.verify(copy)
    blocked(said, "integrity.renamed", "'data/b.bin' was renamed to 'data/z.bin'", "rename it back to 'data/b.bin'")
    assert "integrity.missing" not in said.out
    assert "integrity.extra" not in said.out


def test_a_pair_that_changed_places_is_called_swapped(world: World) -> None:
    copy = world.copy()
    a, b, other = copy / "data" / "a.bin", copy / "data" / "b.bin", copy / "swap"
    a.rename(other), b.rename(a), other.rename(b)
    said = world.verify(copy)
    blocked(said, "integrity.swapped", "'data/a.bin' and 'data/b.bin' changed places")
    assert "integrity.changed" not in said.out


def test_a_file_moved_into_another_folder_is_found(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "b.bin").rename(copy / "b.bin")
    blocked(world.verify(copy), "integrity.renamed", "'data/b.bin' was renamed to 'b.bin'")


def test_a_truncated_file_names_the_lost_range_and_both_sizes(world: World) -> None:
    copy = world.copy()
    os.truncate(copy / "data" / "a.bin", 3 * CHUNK)
    said = world.verify(copy)
    blocked(said, "integrity.changed", f"bytes {3 * CHUNK}-{SIZE_A - 1}", f"{3 * CHUNK:,} bytes", f"{SIZE_A:,} were")


def test_a_file_cut_to_nothing_is_found(world: World) -> None:
    copy = world.copy()
    os.truncate(copy / "data" / "b.bin", 0)
    blocked(world.verify(copy), "integrity.changed", "data/b.bin bytes 0-9999", "it has 0 bytes")


def test_an_extended_file_names_the_new_range(world: World) -> None:
    copy = world.copy()
    with (copy / "data" / "b.bin").open("ab") as stream:
        stream.write(b"\0")
    blocked(world.verify(copy), "integrity.changed", "data/b.bin bytes 0-10000", "10,001 bytes, 10,000 were signed")


def test_zeros_appended_up_to_a_chunk_border_are_found(world: World) -> None:
    copy = world.copy()
    with (copy / "data" / "a.bin").open("ab") as stream:
        stream.write(b"\0" * 1000)
    blocked(world.verify(copy), "integrity.changed", f"bytes {4 * CHUNK}-{5 * CHUNK - 1}")


def test_an_edited_shard_table_is_named(world: World) -> None:
    copy = world.copy()
    flip(copy / ".dataseal" / "shards.parquet", 40)
    blocked(world.verify(copy), "integrity.table", "SHA-256", "at    .dataseal/shards.parquet")


def test_a_removed_shard_table_is_named(world: World) -> None:
    copy = world.copy()
    (copy / ".dataseal" / "shards.parquet").unlink()
    blocked(world.verify(copy), "integrity.table", "missing", ".dataseal/shards.parquet")


def test_a_validly_built_other_table_is_not_the_signed_one(world: World) -> None:
    copy = world.copy()
    (copy / ".dataseal" / "shards.parquet").write_bytes((world.v1 / ".dataseal" / "shards.parquet").read_bytes())
    (copy / "data" / "c.bin").unlink()
    blocked(world.verify(copy), "integrity.table", "was signed")


def test_a_table_rebuilt_without_a_shard_is_not_the_signed_one(world: World) -> None:
    copy = world.copy()
    path = copy / ".dataseal" / "shards.parquet"
    payload = parse_statement(_payload(copy)).release()
    root = bytes.fromhex(payload.tree.root)
    data = path.read_bytes()
    manifest = parse_table(data, payload.tree.parameters, digest=sha256(data), root=root)
    kept = [s for s in manifest.shards if s.path != "data/c.bin"]
    path.write_bytes(encode_table(build(kept, manifest.parameters)))
    (copy / "data" / "c.bin").unlink()
    blocked(world.verify(copy), "integrity.table")


def _payload(copy: Path) -> bytes:
    return parse_bundle((copy / ".dataseal" / "release" / "1.sigstore.json").read_bytes()).payload


def test_a_nested_git_folder_is_no_place_to_hide(world: World) -> None:
    copy = world.copy()
    write(copy / "data" / ".git" / "poison.parquet", b"x")
    blocked(world.verify(copy), "integrity.extra", "'data/.git/poison.parquet'")


def test_a_git_file_at_the_top_is_no_git_folder(world: World) -> None:
    copy = world.copy()
    write(copy / ".git", b"gitdir: elsewhere")
    blocked(world.verify(copy), "integrity.extra", "'.git'")


def test_a_top_level_git_folder_is_left_out_and_said(world: World) -> None:
    copy = world.copy()
    write(copy / ".git" / "config", b"x")
    said = world.verify(copy)
    passed(said, f"{NAME}@1.1.0")
    assert "left out: .git/" in said.out


def test_a_seal_folder_in_other_case_is_refused(world: World) -> None:
    copy = world.copy()
    write(copy / ".DATASEAL" / "x", b"x")
    blocked(world.verify(copy), "integrity.forbidden", ".DATASEAL/x")


def test_a_symlinked_shard_with_the_right_bytes_is_refused(world: World) -> None:
    copy = world.copy()
    shard = copy / "data" / "b.bin"
    shard.rename(world.here / "elsewhere.bin")
    shard.symlink_to(world.here / "elsewhere.bin")
    said = world.verify(copy)
    blocked(said, "integrity.forbidden", "'data/b.bin' is a symbolic link to ", "elsewhere.bin")
    assert "integrity.missing" in said.out


def test_a_symlink_to_another_shard_inside_is_refused(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "again.bin").symlink_to("a.bin")
    blocked(world.verify(copy), "integrity.forbidden", "'data/again.bin' is a symbolic link to 'a.bin'")


def test_a_symlinked_folder_out_of_the_tree_is_refused(world: World) -> None:
    copy = world.copy()
    (copy / "more").symlink_to("/etc", target_is_directory=True)
    said = world.verify(copy)
    blocked(said, "integrity.forbidden", "'more' is a symbolic link to '/etc'")
    assert "passwd" not in said.out


def test_a_dangling_symlink_is_refused(world: World) -> None:
    copy = world.copy()
    (copy / "gone").symlink_to("nowhere")
    blocked(world.verify(copy), "integrity.forbidden", "'gone'")


def test_a_fifo_does_not_hang_and_is_refused(world: World) -> None:
    copy = world.copy()
    os.mkfifo(copy / "data" / "pipe")
    blocked(world.verify(copy), "integrity.forbidden", "'data/pipe'")


def test_a_fifo_in_place_of_a_shard_does_not_hang(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "b.bin").unlink()
    os.mkfifo(copy / "data" / "b.bin")
    said = world.verify(copy)
    blocked(said, "integrity.forbidden", "'data/b.bin'")
    assert "integrity.missing" in said.out


def test_a_socket_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = world.copy()
    monkeypatch.chdir(copy)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        blocked(world.verify(copy), "integrity.forbidden", "'sock'")


def test_a_name_with_a_newline_is_refused_and_escaped(world: World) -> None:
    copy = world.copy()
    write(copy / "data" / "a\nPASSED acme", b"x")
    said = world.verify(copy)
    blocked(said, "integrity.forbidden", "a\\nPASSED acme")
    assert not any(line.startswith("PASSED") for line in said.out.splitlines())


def test_a_name_that_is_not_utf8_is_refused(world: World) -> None:
    copy = world.copy()
    write(copy / os.fsdecode(b"data/\xff.bin"), b"x")
    blocked(world.verify(copy), "integrity.forbidden", "is not UTF-8")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_shard_is_indeterminate(world: World) -> None:
    copy = world.copy()
    (copy / "data" / "b.bin").chmod(0)
    said = world.verify(copy)
    assert (said.code, said.out) == (3, "")
    assert "data/b.bin" in said.err
    assert "next: " in said.err


def test_thousands_of_strange_files_are_counted_and_not_all_listed(world: World) -> None:
    copy = world.copy()
    for number in range(300):
        write(copy / "junk" / f"{number}.txt", b"x")
    said = world.verify(copy)
    blocked(said, "integrity.extra")
    assert len(said.out.splitlines()) < 200
    assert "and 260 more" in said.out
    assert len(world.verify(copy, "--format", "json").json["findings"]) == 300


def test_swap_and_flip_and_addition_are_all_told_at_once(world: World) -> None:
    copy = world.copy()
    flip(copy / "data" / "a.bin", 1)
    (copy / "README.md").unlink()
    write(copy / "new", b"x")
    said = world.verify(copy)
    for check in ("integrity.changed", "integrity.missing", "integrity.extra"):
        blocked(said, check)
