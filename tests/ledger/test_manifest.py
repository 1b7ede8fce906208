from __future__ import annotations

import contextlib
import io
import json
import re
import string
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataseal.ledger import canonical, manifest
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import FormatError, IntegrityError
from dataseal.ledger.manifest import Manifest, Parameters, Shard, build, encode_table, parse_table, shard_leaf
from dataseal.ledger.paths import check_path
from dataseal.ledger.tlog import merkle
from support.errors import refused
from support.shards import SMALL, shard

NASTY = st.text(
    st.sampled_from(string.printable + "\"'é😀\u200e\u00ad\ufeff\u202e\uffff\U0010ffff"), min_size=1, max_size=20
)


def sample() -> Manifest:
    return build([shard("b", b"x" * 200_000), shard("a/c", b""), shard("é", b"1"), shard("a/b", b"y" * 65_536)], SMALL)


def read(data: bytes, of: Manifest, digest: bytes | None = None) -> Manifest:
    return parse_table(data, of.parameters, digest=digest or sha256(data), root=of.root)


# --- the tree ---


def test_docstring_leaves_are_those_that_are_hashed() -> None:
    lines = re.findall(r"^    (\{.*\})$", manifest.__doc__ or "", re.MULTILINE)
    assert lines[0].encode() == Parameters().leaf()
    made = shard_leaf(Shard("data/a.parquet", 1234, b"\xaa" * 32, b"\xbb" * 32, b"")).decode()
    assert made == lines[1].replace('"root":"<hex>"', f'"root":"{"bb" * 32}"').replace("<hex>", "aa" * 32)


@given(NASTY, st.integers(0, manifest.MAX_SHARD), st.binary(min_size=32, max_size=32))
def test_the_leaf_written_by_hand_is_the_canonical_encoders(path: str, size: int, digest: bytes) -> None:
    try:
        check_path(path)
    except FormatError:
        assume(False)
    expected = {"path": path, "root": digest.hex(), "sha256": digest[::-1].hex(), "size": size}
    assert shard_leaf(Shard(path, size, digest[::-1], digest, b"")) == canonical.encode(expected)


def test_the_dataset_root_is_the_rfc_6962_tree_over_parameters_and_shards() -> None:
    one = shard("a")
    expected = merkle.node_hash(merkle.leaf_hash(SMALL.leaf()), merkle.leaf_hash(shard_leaf(one)))
    assert build([one], SMALL).root == expected


def test_an_empty_file_has_the_empty_trees_root() -> None:
    assert shard("a", b"").root == merkle.EMPTY_ROOT
    assert shard("a", b"").chunk_count == 0


@pytest.mark.parametrize(
    ("size", "chunks"), [(1, 1), (65_535, 1), (65_536, 1), (65_537, 2), (131_072, 2), (131_073, 3)]
)
def test_chunks_tile_the_file(size: int, chunks: int) -> None:
    made = shard("a", b"z" * size)
    assert build([made], SMALL).shards[0].chunk_count == chunks
    assert made.chunk(chunks - 1) == sha256(b"z" * (size - (chunks - 1) * 65_536))


def other(**changes: Any) -> Shard:
    base = shard("a", b"content")
    values = {name: getattr(base, name) for name in ("path", "size", "sha256", "root", "chunks")}
    return Shard(**values | changes)


@pytest.mark.parametrize(
    "changed",
    [
        shard("b", b"content"),
        shard("a", b"Content"),
        other(size=8),
        other(sha256=sha256(b"else")),
        shard("A", b"content"),
    ],
    ids=["path", "digest", "size", "sha256", "case"],
)
def test_the_root_binds_path_digests_and_size(changed: Shard) -> None:
    assert build([changed], SMALL).root != build([shard("a", b"content")], SMALL).root


def test_the_root_binds_the_parameters() -> None:
    roots = {
        build([shard("a")], parameters).root
        for parameters in (SMALL, Parameters(131_072), Parameters(65_536, "blake3"), Parameters())
    }
    assert len(roots) == 4


def test_the_root_binds_which_name_has_which_content() -> None:
    straight = build([shard("a", b"1"), shard("b", b"2")], SMALL)
    assert straight.root != build([shard("a", b"2"), shard("b", b"1")], SMALL).root


def test_the_order_of_the_input_does_not_matter() -> None:
    shards = [shard(name) for name in ("b", "a/b", "a.b", "a", "é", "😀", "Z")]
    assert build(shards[:3], SMALL).root == build(shards[2::-1], SMALL).root
    assert [s.path for s in build(shards[1:3], SMALL).shards] == ["a.b", "a/b"]


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_537, 98_304, 2**27, -65_536])
def test_a_chunk_size_that_is_no_power_of_two_in_range_is_refused(size: int) -> None:
    with refused(FormatError, "power of two"):
        Parameters(size)


def test_an_unknown_chunk_hash_is_refused() -> None:
    with refused(FormatError, "chunk hash"):
        Parameters(chunk_hash="md5")


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (other(size=65_537), "lists 1 chunks"),
        (other(size=0), "lists 1 chunks"),
        (other(size=-1), "size -1"),
        (other(size=2**53), "size"),
        (other(chunks=b"\0" * 32), "root of its chunks"),
        (other(root=b"\0" * 32), "root of its chunks"),
        (other(chunks=other().chunks + b"x"), "chunks"),
        (other(sha256=b""), "whole-file SHA-256"),
        (other(path="../a"), "normalised"),
    ],
)
def test_a_shard_that_does_not_fit_together_is_refused(bad: Shard, word: str) -> None:
    with refused(FormatError, word):
        build([bad], SMALL)


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "A"), ("a", "a/b")])
def test_shards_that_collide_are_refused(paths: tuple[str, str]) -> None:
    with refused(FormatError, "path"):
        build([shard(p) for p in paths], SMALL)


# --- the table ---


@pytest.mark.parametrize("shards", [[], [shard("a", b"")], [shard("a"), shard("b", b"q" * 70_000), shard("c", b"")]])
def test_table_round_trip(shards: list[Shard]) -> None:
    made = build(shards, SMALL)
    assert read(encode_table(made), made) == made


@given(
    st.dictionaries(st.text(string.ascii_lowercase + "é/.", min_size=1, max_size=9), st.binary(max_size=9), max_size=9)
)
def test_any_legal_manifest_round_trips(contents: dict[str, bytes]) -> None:
    try:
        made = build([shard(path, data) for path, data in contents.items()], SMALL)
    except FormatError:
        return
    assert read(encode_table(made), made) == made


def test_a_table_of_many_row_groups_is_read_whole() -> None:
    made = build([shard(f"{n:05}", b"%d" % n) for n in range(2_000)], SMALL)
    sink = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(encode_table(made))), sink, row_group_size=7)
    assert read(sink.getvalue(), made) == made


def test_the_same_manifest_gives_the_same_bytes() -> None:
    assert encode_table(sample()) == encode_table(sample())


def test_each_flipped_bit_of_the_table_is_refused() -> None:
    made = sample()
    data = encode_table(made)
    digest = sha256(data)
    for position in range(0, len(data) * 8, 3):
        bad = bytearray(data)
        bad[position // 8] ^= 1 << position % 8
        with pytest.raises(IntegrityError, match="SHA-256"):
            read(bytes(bad), made, digest)


def test_a_flipped_bit_under_a_digest_that_was_signed_for_it_never_gives_another_manifest() -> None:
    """Whoever signed nonsense gets an error of ours, and no crash."""
    made = sample()
    data = encode_table(made)
    for position in range(0, len(data) * 8, 41):
        bad = bytearray(data)
        bad[position // 8] ^= 1 << position % 8
        with contextlib.suppress(FormatError, IntegrityError):
            assert read(bytes(bad), made) == made


def test_a_table_that_leads_to_another_root_is_refused() -> None:
    made, another = sample(), build([shard("a")], SMALL)
    data = encode_table(made)
    with refused(IntegrityError, made.root.hex(), another.root.hex(), "shards.parquet"):
        parse_table(data, SMALL, digest=sha256(data), root=another.root)


def test_a_table_under_other_parameters_is_refused() -> None:
    made = build([shard("a")], SMALL)
    data = encode_table(made)
    with refused(IntegrityError, "root"):
        parse_table(data, Parameters(131_072), digest=sha256(data), root=made.root)


def test_an_edited_table_says_what_to_do() -> None:
    made = sample()
    with refused(IntegrityError, "shards.parquet", "fetch it again"):
        read(encode_table(made) + b"x", made, sha256(encode_table(made)))


def edited(change: Callable[[pa.Table], pa.Table]) -> tuple[bytes, Manifest]:
    made = sample()
    sink = io.BytesIO()
    pq.write_table(change(pq.read_table(io.BytesIO(encode_table(made)))), sink)
    return sink.getvalue(), made


def with_column(table: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def null_digest(table: pa.Table) -> pa.Table:
    values = table["sha256"].to_pylist()
    return with_column(table, "sha256", pa.array([None, *values[1:]], pa.binary(32)))


def null_chunk(table: pa.Table) -> pa.Table:
    values = table["chunks"].to_pylist()
    values[0] = [None] * len(values[0])
    return with_column(table, "chunks", pa.array(values, pa.list_(pa.binary(32))))


def null_list(table: pa.Table) -> pa.Table:
    values = [None, *table["chunks"].to_pylist()[1:]]
    return with_column(table, "chunks", pa.array(values, pa.list_(pa.binary(32))))


def not_utf8(table: pa.Table) -> pa.Table:
    raw = pa.array([b"\xff\xfe", *(p.encode() for p in table["path"].to_pylist()[1:])], pa.binary())
    return with_column(table, "path", pa.Array.from_buffers(pa.string(), len(raw), raw.buffers()))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda t: t.take([1, 0, 2, 3]), "sorted"),
        (lambda t: t.take([0, 0, 1, 2, 3]), "one file"),
        (lambda t: t.drop_columns("sha256"), "columns"),
        (lambda t: t.append_column("more", pa.array([1] * 4)), "columns"),
        (lambda t: t.select(["size", "path", "sha256", "root", "chunks"]), "columns"),
        (lambda t: with_column(t, "size", t["size"].cast(pa.int32())), "columns"),
        (lambda t: with_column(t, "path", t["path"].cast(pa.large_string())), "columns"),
        (lambda t: with_column(t, "sha256", t["sha256"].cast(pa.binary())), "columns"),
        (null_digest, "nulls"),
        (null_chunk, "nulls"),
        (null_list, "nulls"),
        (not_utf8, "Parquet"),
        (lambda t: with_column(t, "size", pa.array([-1] * 4, pa.int64())), "size"),
        (lambda t: with_column(t, "path", pa.array(["../x", "b", "c", "d"])), "path"),
    ],
    ids=[
        "unsorted", "twice", "column gone", "column more", "column order", "int32", "large string", "plain binary",
        "null", "null chunk", "null list", "not UTF-8", "negative", "escaping path",
    ],
)  # fmt: skip
def test_a_signed_table_that_breaks_the_format_is_refused(change: Callable[[Any], Any], word: str) -> None:
    data, made = edited(change)
    with refused(FormatError, word):
        read(data, made)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"not parquet at all"])
def test_what_is_no_parquet_is_refused(data: bytes) -> None:
    with refused(FormatError, "not a Parquet table", "shards.parquet"):
        read(data, sample())


def test_the_leaf_is_json_that_others_read() -> None:
    assert json.loads(shard_leaf(shard('a "quoted" é')))["path"] == 'a "quoted" é'
