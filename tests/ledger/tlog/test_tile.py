"""Tile paths, tile contents and entry bundles, as tlog-tiles says them and no other way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.tlog import merkle, tile
from dataseal.ledger.tlog.limits import MAX_ENTRY_BYTES, MAX_TILE_INDEX, MAX_TREE_SIZE
from dataseal.ledger.tlog.tile import Tile


def paths(size):
    return [found.path for found in tile.tiles_for(size)]


def test_docstring_example(example):
    last = {}
    for found in tile.tiles_for(70_000):
        last.setdefault(found.level, []).append(found.path)
    assert [path for level in last.values() for path in level[-2:]] == example(tile).split()
    assert [len(level) for level in last.values()] == [274, 2, 1]


@pytest.mark.parametrize(
    ("index", "text"),
    [(0, "000"), (67, "067"), (999, "999"), (1000, "x001/000"), (1067, "x001/067"), (1234067, "x001/x234/067")],
)
def test_indexes_are_written_in_threes(index, text):
    assert tile.tile_path(3, index) == f"tile/3/{text}"
    assert tile.entries_path(index, 5) == f"tile/entries/{text}.p/5"
    assert tile.parse_path(f"tile/entries/{text}") == Tile(None, index)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, []),
        (1, ["tile/0/000.p/1"]),
        (255, ["tile/0/000.p/255"]),
        (256, ["tile/0/000", "tile/1/000.p/1"]),
        (257, ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]),
        (512, ["tile/0/000", "tile/0/001", "tile/1/000.p/2"]),
    ],
)
def test_tiles_of_a_size(size, expected):
    """A partial tile is never hashed upward, and an empty one never served."""
    assert paths(size) == expected


def test_a_full_level_1_tile():
    assert paths(65_536)[-3:] == ["tile/0/255", "tile/1/000", "tile/2/000.p/1"]


@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_growth_writes_each_tile_that_changed_and_no_other(a, b):
    old, new = sorted((a, b))
    assert set(tile.tiles_for(new)) - set(tile.tiles_for(old)) == set(tile.new_tiles(old, new))
    bundles = {found.index: found.width for found in tile.new_bundles(old, new)}
    level_0 = {found.index: found.width for found in tile.new_tiles(old, new) if found.level == 0}
    assert bundles == level_0
    for found in tile.new_tiles(old, new):
        assert tile.width_at(found.level, found.index, new) == found.width


def test_a_log_does_not_shrink():
    with pytest.raises(UsageError, match="from 5 to 4"):
        list(tile.new_tiles(5, 4))
    with pytest.raises(UsageError):
        tile.new_bundles(5, 4)
    with pytest.raises(UsageError):
        list(tile.tiles_for(MAX_TREE_SIZE + 1))


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "/tile/0/000", "tile/0/000/",
        "tile/00/000", "tile/-1/000", "tile/64/000", "tile/100/000", "tile/0/x000/001", "tile/0/001/002",
        "tile/0/x001", "tile/0/x01/002", "tile/0/X001/002", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0",
        "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/999", "tile/0/000.p/1/2", "tile/0/000.P/1",
        "tile/entries/0", "tile/data/000", "tile/0/../0/000", "tile/0/000\n", "tile/0/٠٠٠", "tile/0/000.p/１",
        "checkpoint", "tile/0/x" + "/x".join(["999"] * 6) + "/999", "tile/entries/x100/x000/x000/x000/x000/x000/000",
    ],
)  # fmt: skip
def test_other_paths_are_refused(path):
    with pytest.raises(FormatError, match="not the path"):
        tile.parse_path(path)


LEVELS = st.one_of(st.none(), st.integers(0, 63))


@given(LEVELS, st.integers(0, MAX_TILE_INDEX), st.integers(1, 256))
def test_paths_round_trip(level, index, width):
    assert tile.parse_path(Tile(level, index, width).path) == Tile(level, index, width)


@given(st.text(alphabet="tile/entris0129x.p", max_size=24).map(lambda tail: f"tile/{tail}"))
def test_what_is_parsed_is_what_would_be_written(path):
    try:
        found = tile.parse_path(path)
    except FormatError:
        return
    assert found.path == path


@pytest.mark.parametrize(("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_tiles_that_can_not_exist_have_no_path(level, index, width):
    with pytest.raises(UsageError):
        tile.tile_path(level, index, width)


# --- contents ---

HASHES = [merkle.leaf_hash(b"%d" % i) for i in range(256)]


@pytest.mark.parametrize("width", [1, 2, 255, 256])
def test_tile_round_trip(width):
    data = tile.encode_tile(HASHES[:width])
    assert len(data) == 32 * width
    assert tile.decode_tile(data, width) == HASHES[:width]


def test_a_tile_of_another_length_is_refused():
    data = tile.encode_tile(HASHES)
    assert len(data) == 8192
    for bad, width in ((data[:-1], 256), (data + b"\0", 256), (data, 255), (b"", 0), (b"", 1), (data * 2, 512)):
        with pytest.raises(FormatError, match="tile has"):
            tile.decode_tile(bad, width)
    for bad in ([], [*HASHES, HASHES[0]], [b"short"]):
        with pytest.raises(UsageError):
            tile.encode_tile(bad)


def test_the_bytes_of_a_bundle():
    assert tile.encode_bundle([b"one", b"", b"two"]) == b"\0\x03one\0\0\0\x03two"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundle_round_trip(entries):
    assert tile.decode_bundle(tile.encode_bundle(entries), len(entries)) == entries


def test_the_largest_entry():
    entry = bytes(MAX_ENTRY_BYTES)
    assert tile.decode_bundle(tile.encode_bundle([entry, entry]), 2) == [entry, entry]
    with pytest.raises(UsageError, match="entry 1 has 65,536 bytes"):
        tile.encode_bundle([b"", entry + b"\0"])


@pytest.mark.parametrize(
    ("data", "count", "why"),
    [
        (b"", 1, "0 of 1 entries"),
        (b"\0", 1, "inside the length"),
        (b"\0\x03on", 1, "inside entry 0: 2 of 3"),
        (b"\0\x03one", 2, "1 of 2 entries"),
        (b"\0\x03one\0\x03two", 1, "5 bytes are left over"),
        (b"\0\x03one\0", 1, "1 bytes are left over"),
        (b"", 0, "0 of 0"),
        (b"\0\0" * 257, 257, "257"),
    ],
)
def test_a_bundle_is_read_completely_or_not_at_all(data, count, why):
    with pytest.raises(FormatError, match=why):
        tile.decode_bundle(data, count)


@pytest.mark.parametrize("entries", [[], [b""] * 257])
def test_a_bundle_has_1_to_256_entries(entries):
    with pytest.raises(UsageError, match="1 to 256"):
        tile.encode_bundle(entries)


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=6), st.data())
def test_any_changed_byte_of_a_bundle_is_refused_or_seen(entries, data):
    encoded = tile.encode_bundle(entries)
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes([data.draw(st.integers(0, 255))]) + encoded[at + 1 :]
    try:
        decoded = tile.decode_bundle(changed, len(entries))
    except FormatError:
        return
    assert (decoded == entries) == (changed == encoded)


def test_entry_hashes_are_the_leaf_hashes():
    assert tile.entry_hashes([b"one", b""]) == [merkle.leaf_hash(b"one"), merkle.leaf_hash(b"")]
