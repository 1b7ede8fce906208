"""`dataseal sign --from-digests`: digests that were computed elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import supplied
from dataseal.ledger.manifest import MIN_CHUNK, build
from support.cli import blocked, dataseal, passed, refused
from support.datasets import World, flip, write
from support.shards import SMALL, shard

HEADER = {"dataseal_digests": 1, "chunk_size": MIN_CHUNK, "chunk_hash": "sha256"}
ROW = {"path": "a", "size": 3, "sha256": "00" * 32, "chunks": ["11" * 32]}


def lines(path: Path, *values: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def upload(world: World, data: dict[str, bytes]) -> tuple[Path, Path]:
    """A folder with files, and the list of their digests, made by code that reads no files."""
    folder = world.here / "upload"
    for name, content in data.items():
        write(folder / name, content)
    shards = [shard(name, content) for name, content in data.items()]
    path = world.here / "digests.jsonl"
    path.write_bytes(b"".join(supplied.write(build(shards, SMALL))))
    return folder, path


DATA = {"data/a.bin": b"abc", "data/b.bin": b"x" * (MIN_CHUNK + 1)}
SIGN = ("--dataset", "acme/uploads", "--release", "1.0.0")


def test_a_release_from_digests_reads_nothing_says_so_and_verifies(world: World) -> None:
    folder, path = upload(world, DATA)
    (world.here / "seal").mkdir()
    said = dataseal("sign", world.here / "seal", *SIGN, "--from-digests", path, "--workspace", world.ws)
    assert said.code == 0, said
    assert "digests     supplied: no file was read" in said.out
    (world.here / "seal" / ".dataseal").rename(folder / ".dataseal")
    found = dataseal("verify", folder, *world.trust, "--dataset", "acme/uploads", "--digests", "all")
    passed(found, "acme/uploads@1.0.0")
    assert "digests     supplied by the publisher's pipeline: its signer read no data" in found.out


def test_digests_that_are_not_the_files_are_found_by_the_verifier(world: World) -> None:
    folder, path = upload(world, DATA)
    dataseal("sign", folder, *SIGN, "--from-digests", path, "--workspace", world.ws)
    flip(folder / "data" / "b.bin", 70)
    blocked(dataseal("verify", folder, *world.trust, "--dataset", "acme/uploads"), "integrity.changed", "b.bin")


def test_a_release_that_was_hashed_has_no_such_field(world: World) -> None:
    assert "digests" not in dataseal("verify", world.v1, *world.trust, "--format", "json").json["release"]["metadata"]
    assert b'"digests":' not in (world.v1 / ".dataseal" / "release" / "1.sigstore.json").read_bytes()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--fast",), "exclude each other"),
        (("--chunk-size", "4m"), "leave --chunk-size"),
        (("--chunk-hash", "blake3"), "leave --chunk-size"),
    ],
)
def test_options_that_contradict_the_list(world: World, options: tuple[str, ...], what: str) -> None:
    folder, path = upload(world, DATA)
    refused(dataseal("sign", folder, *SIGN, "--from-digests", path, "--workspace", world.ws, *options), 2, what)


def test_an_empty_list_is_not_signed(world: World) -> None:
    folder, path = upload(world, DATA)
    lines(path, HEADER)
    refused(dataseal("sign", folder, *SIGN, "--from-digests", path, "--workspace", world.ws), 2, "empty")


def test_two_lines_for_one_file_are_not_signed(world: World) -> None:
    folder, path = upload(world, DATA)
    lines(path, HEADER, ROW, ROW)
    refused(dataseal("sign", folder, *SIGN, "--from-digests", path, "--workspace", world.ws), 2, "'a'")


def test_chunks_that_do_not_make_the_size_are_not_signed(world: World) -> None:
    folder, path = upload(world, DATA)
    lines(path, HEADER, ROW | {"size": MIN_CHUNK + 1})
    refused(dataseal("sign", folder, *SIGN, "--from-digests", path, "--workspace", world.ws), 2, "make 2")


@pytest.mark.parametrize(
    ("name", "options"),
    [(".git/config", ()), (".cache/huggingface/x", ()), ("data/c.log", ("--exclude", "*.log"))],
)
def test_paths_that_no_verifier_looks_at_are_not_signed(world: World, name: str, options: tuple[str, ...]) -> None:
    folder, path = upload(world, {**DATA, name: b"x"})
    said = dataseal("sign", folder, *SIGN, "--from-digests", path, *options, "--workspace", world.ws)
    refused(said, 2, name)
    assert not (folder / ".dataseal").exists()


def test_an_exclusion_of_what_the_list_does_not_name_is_recorded_and_verifies(world: World) -> None:
    folder, path = upload(world, DATA)
    write(folder / "run.log", b"x")
    options = ("--exclude", "*.log", "--workspace", world.ws)
    assert dataseal("sign", folder, *SIGN, "--from-digests", path, *options).code == 0
    passed(dataseal("verify", folder, *world.trust, "--dataset", "acme/uploads"), "acme/uploads@1.0.0")
