"""The right edge of a growing tree: O(log n) state from which every root and every new node comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE

LEAVES = [merkle.leaf_hash(b"%d" % i) for i in range(600)]


def node(level, index):
    return merkle.root_from_leaves(LEAVES[index << level : (index + 1) << level])


def test_one_leaf_at_a_time_every_root_and_every_completed_node():
    edge = merkle.CompactRange()
    assert edge.root() == merkle.EMPTY_ROOT
    for size, leaf in enumerate(LEAVES[:300], start=1):
        completed = edge.append(leaf)
        # Leaf number size - 1 completes one node a level for as long as the size divides by two.
        assert [(level, index) for level, index, _ in completed] == [
            (level, (size >> level) - 1) for level in range((size & -size).bit_length())
        ]
        assert all(value == node(level, index) for level, index, value in completed)
        assert edge.size == size
        assert edge.root() == merkle.root_from_leaves(LEAVES[:size])
        assert len(edge.hashes) == size.bit_count()


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 130), max_size=8))
def test_how_appends_are_split_does_not_matter(batches):
    split, at, grown = merkle.CompactRange(), 0, {}
    for batch in batches:
        batch = min(batch, len(LEAVES) - at)
        for level, first, hashes in split.extend(LEAVES[at : at + batch]):
            fresh = {(level, first + i): value for i, value in enumerate(hashes)}
            assert not grown.keys() & fresh.keys(), "a node is complete once"
            grown |= fresh
        at += batch
    whole = merkle.CompactRange()
    expected = {
        (level, first + i): value
        for level, first, hashes in whole.extend(LEAVES[:at])
        for i, value in enumerate(hashes)
    }
    assert (split.size, split.hashes, split.root()) == (whole.size, whole.hashes, whole.root())
    assert grown == expected


@given(st.integers(0, 300), st.integers(0, 300))
@settings(deadline=None, max_examples=40)
def test_it_is_rebuilt_from_size_and_hashes(size, more):
    edge = merkle.CompactRange()
    edge.extend(LEAVES[:size])
    rebuilt = merkle.CompactRange(edge.size, edge.hashes)
    assert rebuilt.extend(LEAVES[size : size + more]) == edge.extend(LEAVES[size : size + more])
    assert rebuilt.root() == edge.root() == merkle.root_from_leaves(LEAVES[: size + more])


def test_beyond_memory():
    size = 2**40 + 2**8 + 1
    edge = merkle.CompactRange(size, LEAVES[:3])
    completed = edge.append(LEAVES[3])
    assert [(level, index) for level, index, _ in completed] == [(0, size), (1, size >> 1)]
    assert edge.hashes == (LEAVES[0], LEAVES[1], merkle.node_hash(LEAVES[2], LEAVES[3]))
    inner = merkle.node_hash(LEAVES[1], edge.hashes[2])
    assert edge.root() == merkle.node_hash(LEAVES[0], inner)


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(0, [LEAVES[0]]), (1, []), (3, [LEAVES[0]]), (4, LEAVES[:2]), (-1, []), (MAX_TREE_SIZE + 1, [LEAVES[0]])],
)
def test_hashes_that_do_not_fit_the_size_are_refused(size, hashes):
    with pytest.raises(FormatError):
        merkle.CompactRange(size, hashes)


def test_a_bad_leaf_in_a_batch_adds_nothing():
    edge = merkle.CompactRange()
    edge.extend(LEAVES[:5])
    before = edge.size, edge.hashes
    with pytest.raises(FormatError, match="hash 1 has 31 bytes"):
        edge.extend([LEAVES[5], LEAVES[6][:31]])
    with pytest.raises(FormatError):
        merkle.CompactRange(1, [b"short"])
    assert (edge.size, edge.hashes) == before
