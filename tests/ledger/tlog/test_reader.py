"""`TileReader` over a source that lies: no altered, cut, swapped or stale tile ever yields a hash."""

from __future__ import annotations

import pytest

from dataseal.ledger.errors import FormatError, ProofInvalid, Unavailable, UsageError, VerificationError
from dataseal.ledger.tlog import limits, merkle, reader, tile
from dataseal.ledger.tlog.reader import TileReader, edge_tiles, tiles_needed

SIZES = [1, 2, 255, 256, 257, 511, 512, 600]


@pytest.fixture(scope="module")
def big(make_log):
    return make_log(66_000)


@pytest.fixture
def log(make_log):
    return make_log(600)


def over(log, size=None, root=None):
    size = len(log.entries) if size is None else size
    return TileReader(log.read_tile, size=size, root=root or merkle.root_from_leaves(log.leaves[:size]))


def test_docstring_example(example):
    assert [found.path for found in tiles_needed([(0, 0)], 70_000)] == example(reader).split()


@pytest.mark.parametrize("size", SIZES)
def test_the_reader_contract_over_tiles(size, make_log, hash_reader_contract):
    log = make_log(size)
    hash_reader_contract(over(log), log.leaves)


def test_the_reader_contract_over_three_levels(big, hash_reader_contract):
    hash_reader_contract(over(big), big.leaves)


@pytest.mark.parametrize("size", [1, 255, 256, 300])
def test_an_older_size_of_a_grown_log(log, size, hash_reader_contract):
    """Partial tiles of an older checkpoint may be gone once the full tile exists: its beginning serves."""
    for found in tile.tiles_for(size):
        if found.width < 256 and tile.width_at(found.level, found.index, 600) == 256:
            log.altered[found.path] = None
    hash_reader_contract(over(log, size), log.leaves[:size])


def test_an_empty_tree(make_log):
    empty = TileReader(make_log(0).read_tile, size=0, root=merkle.EMPTY_ROOT)
    assert merkle.root_at(empty, 0) == merkle.EMPTY_ROOT
    with pytest.raises(UsageError):
        empty.read([(0, 0)])


@pytest.mark.parametrize("size", [256, 300, 600])
def test_one_flipped_bit_in_any_tile_is_found(make_log, size):
    log = make_log(size)
    index = {"tile/0/000": 0, "tile/0/001": 256}
    for found in tile.tiles_for(size):
        honest = log.read_tile(found.path)
        for at in range(0, len(honest), 95):
            log.altered = {found.path: honest[:at] + bytes([honest[at] ^ 4]) + honest[at + 1 :]}
            with pytest.raises(ProofInvalid, match="do not lead to its checkpoint") as caught:
                over(log).read([(0, index.get(found.path, 0))])
            assert caught.value.where
            assert caught.value.hint


def test_altered_tiles_that_agree_with_each_other_are_found(make_log):
    """A mirror that rewrites an entry and every tile above it still does not have the signed root."""
    honest, forged = make_log(600), make_log(600)
    forged.entries[3] = b"poison"
    forged.__post_init__()
    rewritten = type(forged)(forged.entries)
    with pytest.raises(ProofInvalid, match="lead to root"):
        TileReader(rewritten.read_tile, size=600, root=honest.edge.root()).read([(0, 3)])


def test_a_tile_in_the_place_of_another_is_found(log):
    log.altered["tile/0/001"] = log.read_tile("tile/0/000")
    assert over(log).read([(0, 0)]) == [log.leaves[0]]
    with pytest.raises(ProofInvalid, match="tile above"):
        over(log).read([(0, 256)])


def test_a_level_1_hash_where_only_the_parent_lies(big):
    big.altered = {"tile/1/000": big.read_tile("tile/1/000")[:-1] + b"\0"}
    with pytest.raises(ProofInvalid, match="tile above"):
        over(big).read([(0, 0)])
    big.altered = {}


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + bytes(32), lambda d: b"", lambda d: d * 2])
def test_a_tile_of_another_length_is_refused(log, change):
    for path in ("tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2"):
        log.altered = {}
        log.altered = {path: change(log.read_tile(path))}
        with pytest.raises(VerificationError) as caught:
            over(log).read([(0, 0)])
        assert isinstance(caught.value, FormatError)
        assert caught.value.where == path


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2"])
def test_a_missing_tile_is_no_verdict(log, path):
    log.altered[path] = None
    with pytest.raises(Unavailable):
        over(log).read([(0, 0)])


def test_the_wrong_root_or_size_yields_nothing(log):
    for size, root in ((600, merkle.EMPTY_ROOT), (599, log.edge.root()), (256, log.edge.root())):
        with pytest.raises(ProofInvalid):
            over(log, size, root).read([(0, 0)])


@pytest.mark.parametrize("node", [(0, 600), (0, -1), (-1, 0), (3, 75), (9, 1), (10, 0), (64, 0)])
def test_a_node_that_is_not_complete_is_not_read(log, node):
    with pytest.raises(UsageError, match="not complete"):
        over(log).read([node])


def test_the_right_edge_is_read_first_and_every_tile_once(log):
    subject = over(log)
    log.asked.clear()
    subject.read([(0, 0), (0, 255), (3, 0), (8, 0), (0, 599), (0, 300)])
    assert log.asked == ["tile/0/002.p/88", "tile/1/000.p/2", "tile/0/000", "tile/0/001"]


def test_what_is_needed_is_what_is_fetched(big):
    nodes = [node for start, end in merkle.inclusion_ranges(12345, 66_000) for node in merkle.range_nodes(start, end)]
    subject = over(big)
    big.asked.clear()
    subject.read(nodes)
    assert sorted(found.path for found in tiles_needed(nodes, 66_000)) == sorted(big.asked)


def test_the_cache_is_bounded(big, monkeypatch):
    monkeypatch.setattr(reader, "CACHED_TILES", 3)
    subject = over(big)
    for index in range(20):
        assert subject.leaves(index) == big.leaves[index * 256 : (index + 1) * 256] if index < 2 else True
        subject.leaves(index)
    assert len(subject._full) <= 3
    assert subject.read([(0, 0)]) == [big.read([(0, 0)])[0]]
    assert limits.CACHED_TILES >= 16


def test_leaves_of_a_bundle(log):
    subject = over(log)
    assert subject.leaves(2) == log.leaves[512:]
    assert subject.leaves(0) == log.leaves[:256]
    for index in (3, -1):
        with pytest.raises(UsageError, match="no tile"):
            subject.leaves(index)


def test_edge_tiles_are_the_partial_ones():
    for size in (*SIZES, 65_536, 70_000, 2**40 + 3):
        expected = [found for found in edge_tiles(size) if found.width < 256]
        assert edge_tiles(size) == expected
        if size < 100_000:
            assert expected == [found for found in tile.tiles_for(size) if found.width < 256]
