"""OMS statements: what is read, what is refused, and what we write."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.manifest import build
from dataseal.ledger.oms import statement as oms
from dataseal.ledger.oms.statement import GIT_NAMES, IGNORED, PREDICATE, PREDICATE_0_2, encode_statement, read
from support import oms as make
from support.errors import refused
from support.shards import SMALL, shard
from support.statements import spoil

NAME = "acme/reviews@1.0.0"
MANIFEST = build([shard("data/a-b.txt", b"1"), shard("data/a/b.txt", b"2"), shard("data/é.txt", b"3")], SMALL)


def refuse(payload: bytes, *words: str) -> None:
    with refused(FormatError, *words):
        read(payload)


# --- what we write ---


def test_the_docstrings_statement_has_the_written_fields() -> None:
    shown = re.search(r"\{\"_type\".*?\]\}\n", oms.__doc__ or "", re.DOTALL)
    assert shown

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(item) for key, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else type(value)

    written = json.loads(encode_statement(build([shard("data/a.parquet")], SMALL), NAME))
    assert shape(json.loads(shown[0])) == shape(written)
    assert json.loads(shown[0])["predicate"]["serialization"] == written["predicate"]["serialization"]


def test_what_is_written_is_read_again() -> None:
    found = read(encode_statement(MANIFEST, NAME, ["left/out.txt"]))
    assert (found.name, found.predicate_type, found.algorithm, found.shard_size) == (NAME, PREDICATE, "sha256", None)
    assert {path: (file.digests, file.root) for path, file in found.files.items()} == {
        s.path: ((s.sha256,), s.root) for s in MANIFEST.shards
    }
    assert set(found.ignored or ()) == {*IGNORED, "left/out.txt"}


@given(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1),
                       st.binary(max_size=3), min_size=1, max_size=8))  # fmt: skip
def test_what_is_written_is_canonical_json(files: dict[str, bytes]) -> None:
    shards = [shard(name, data) for name, data in files.items() if oms.is_relative(name) and name not in GIT_NAMES]
    if not shards:
        return
    manifest = MANIFEST.__class__(SMALL, tuple(shards), b"")  # names that collide may be written as well
    payload = encode_statement(manifest, NAME)
    assert payload == rfc8785.dumps(json.loads(payload))


def test_resources_stand_in_code_point_order_and_make_the_subject() -> None:
    value = json.loads(encode_statement(MANIFEST, NAME))
    names = [item["name"] for item in value["predicate"]["resources"]]
    assert names == ["data/a-b.txt", "data/a/b.txt", "data/é.txt"]
    assert value["subject"][0]["digest"]["sha256"] == sha256(sha256(b"1") + sha256(b"2") + sha256(b"3")).hex()


def test_git_names_at_the_top_are_left_out_and_others_are_not() -> None:
    paths = [".gitattributes", ".github/x.yml", "data/.gitignore", ".gitmodules"]
    manifest = build([shard(path) for path in paths], SMALL)
    assert oms.omitted(paths) == paths[:2]
    assert set(read(encode_statement(manifest, NAME)).files) == set(paths[2:])


def test_a_dataset_of_git_names_alone_can_not_be_named() -> None:
    with refused(UsageError, "--no-oms"):
        encode_statement(build([shard(".gitignore")], SMALL), NAME)


def test_more_files_than_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oms, "MAX_FILES", 2)
    with refused(UsageError, "1 to 2 files", "3"):
        encode_statement(MANIFEST, NAME)


def test_an_excluded_name_that_no_statement_can_hold_is_not_ignored_in_it() -> None:
    assert set(read(encode_statement(MANIFEST, NAME, ["bad\udcff", "a\nb"])).ignored or ()) == set(IGNORED)


# --- what is read ---


def test_a_float_shard_size() -> None:
    payload = make.statement(make.sharded(make.FILES, 8), method="shards", shard_size=8.0)
    found = read(payload)
    assert (found.shard_size, found.files["data/b.txt"].size, len(found.files["data/b.txt"].digests)) == (8, 25, 4)


def test_a_hash_type_that_repeats_the_shard_size() -> None:
    resources = make.sharded(make.FILES, 8)
    found = read(make.statement(resources, method="shards", shard_size=8.0, hash_type="sha256-sharded-8"))
    assert found.algorithm == "sha256"


def test_a_colon_in_the_name_of_a_sharded_file() -> None:
    resources = make.sharded({"a:1:2": b"0123456789"}, 8)
    assert set(read(make.statement(resources, method="shards", shard_size=8)).files) == {"a:1:2"}


def test_a_single_file() -> None:
    assert set(read(make.statement([make.resource(".", b"x")])).files) == {"."}


def test_fields_that_the_specification_does_not_name_are_ignored() -> None:
    value = json.loads(make.statement())
    value["predicate"]["card"] = {"name": "x"}
    assert set(read(json.dumps(value).encode()).files) == set(make.FILES)


def test_no_ignore_paths_hide_the_git_names_only() -> None:
    found = read(make.statement(ignore_paths=...))
    assert found.ignored is None
    assert [found.hides(p) for p in (".git/config", ".gitattributes", "data/.gitignore", ".gitmodules")] == [
        ".git", ".gitattributes", None, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "path", "hidden"),
    [
        ("data", "data/a.txt", True), ("data", "data", True), ("data/", "data/x/y", True), ("./data", "data/a", True),
        ("dat", "data/a", False), ("/data", "data/a", False), ("../data", "data/a", False),
        ("x/../data", "data/a", False),        (".", "anything", True), ("data/a", "data/a.txt", False),
    ],
)  # fmt: skip
def test_what_an_ignored_path_hides(written: str, path: str, hidden: bool) -> None:
    assert read(make.statement(ignore_paths=[written])).hides(path) == (written if hidden else None)


# --- what is refused ---


def test_another_predicate_type() -> None:
    refuse(spoil(make.statement(), "predicateType", to="https://slsa.dev/provenance/v1"), "predicate type")


def test_another_statement_type() -> None:
    refuse(spoil(make.statement(), "_type", to="https://in-toto.io/Statement/v0.1"), "in-toto statement")


def test_a_subject_digest_that_is_not_the_resources() -> None:
    refuse(make.statement(subject="00" * 32), "subject digest")


def test_resources_in_another_order_than_their_subject() -> None:
    value = json.loads(make.statement())
    value["predicate"]["resources"].reverse()
    refuse(json.dumps(value).encode(), "subject digest")


def test_two_subjects() -> None:
    value = json.loads(make.statement())
    value["subject"] *= 2
    refuse(json.dumps(value).encode(), "not one name")


def test_a_resource_twice() -> None:
    refuse(make.statement([make.resource("a", b"1"), make.resource("a", b"2")]), "one name")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "", "a\\b", "a\nb", ".."])
def test_a_path_that_is_none(path: str) -> None:
    refuse(make.statement([make.resource(path, b"1")]), "path")


def test_a_single_file_among_others() -> None:
    refuse(make.statement([make.resource(".", b"1"), make.resource("a", b"2")]), "single file")


def test_no_files() -> None:
    refuse(make.statement([]), "no files")


@pytest.mark.parametrize("name", ["md5", "sha1", "sha512", "SHA256", "blake2s", ""])
def test_an_unknown_digest_algorithm(name: str) -> None:
    refuse(make.statement(hash_type=name), "hash type")


def test_a_resource_under_another_algorithm_than_the_statement() -> None:
    refuse(make.statement([make.resource("a", b"1", "blake3")]), "unlike the serialization")


@pytest.mark.parametrize("digest", ["ab" * 31, "ab" * 33, "AB" * 32, "zz" * 32])
def test_a_digest_of_another_length_or_alphabet(digest: str) -> None:
    resources = [make.resource("a", b"1")]
    payload = make.statement(resources)
    refuse(spoil(payload, "predicate", "resources", 0, "digest", to=digest), "digest")


def test_an_unknown_method() -> None:
    refuse(make.statement(method="tensors"), "method")


@pytest.mark.parametrize("size", [0, -8, 8.5, "8", True, None, 2**60])
def test_a_shard_size_that_is_none(size: object) -> None:
    refuse(make.statement(make.sharded(make.FILES, 8), method="shards", shard_size=size), "shard_size")


def sharded(*ranges: tuple[int, int]) -> bytes:
    resources = [make.resource(f"a:{start}:{end}", b"x", "sha256-sharded-8") for start, end in ranges]
    return make.statement(resources, method="shards", shard_size=8)


@pytest.mark.parametrize(
    "ranges",
    [
        [(8, 16)], [(0, 8), (16, 24)], [(0, 8), (0, 8)], [(0, 4), (4, 8)], [(0, 8), (4, 12)], [(0, 9)],
        [(0, 8), (8, 16), (10, 12)],
    ],
)  # fmt: skip
def test_shards_that_do_not_tile_their_file(ranges: list[tuple[int, int]]) -> None:
    refuse(sharded(*ranges), "do not cover")


def test_a_shard_of_a_petabyte_costs_nothing_to_refuse() -> None:
    resources = [make.resource("a:0:999999999999999", b"x", "sha256-sharded-1")]
    refuse(make.statement(resources, method="shards", shard_size=1), "do not cover")


@pytest.mark.parametrize("name", ["a", "a:0", "a:0:x", "a:00:8", ":0:8", "a:0:-8", "a:8:0"])
def test_a_shard_name_that_is_none(name: str) -> None:
    resources = [make.resource(name, b"x", "sha256-sharded-8")]
    with refused(FormatError):
        read(make.statement(resources, method="shards", shard_size=8))


@pytest.mark.parametrize("value", ["data", [1], [""], {"a": 1}])
def test_ignore_paths_that_are_no_list_of_paths(value: object) -> None:
    refuse(make.statement(ignore_paths=value), "ignore_paths")


def test_a_duplicate_key() -> None:
    refuse(make.statement().replace(b'"_type"', b'"_type": "x", "_type"', 1), "duplicate")


def test_annotations_of_0_2_with_another_algorithm() -> None:
    value = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": PREDICATE_0_2,
        "subject": [{
            "name": "a", "digest": {"sha256": "ab" * 32}, "annotations": {"actual_hash_algorithm": "file-blake2"},
        }],
    }  # fmt: skip
    refuse(json.dumps(value).encode(), "annotations")
