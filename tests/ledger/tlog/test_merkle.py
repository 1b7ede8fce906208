"""RFC 6962 trees against a naive twin that is the RFC's definition word for word."""

from __future__ import annotations

import functools
import hashlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError, ProofInvalid, UsageError
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE

LARGEST = 130
ENTRIES = [bytes([i]) for i in range(LARGEST)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def twin_k(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@functools.cache
def twin_root(start, end):
    if start == end:
        return hashlib.sha256().digest()
    if end - start == 1:
        return hashlib.sha256(b"\x00" + ENTRIES[start]).digest()
    middle = start + twin_k(end - start)
    return hashlib.sha256(b"\x01" + twin_root(start, middle) + twin_root(middle, end)).digest()


def twin_path(m, start, end):
    n = end - start
    if n == 1:
        return []
    k = twin_k(n)
    if m < k:
        return [*twin_path(m, start, start + k), twin_root(start + k, end)]
    return [*twin_path(m - k, start + k, end), twin_root(start, start + k)]


def twin_subproof(m, start, end, b):
    n = end - start
    if m == n:
        return [] if b else [twin_root(start, end)]
    k = twin_k(n)
    if m <= k:
        return [*twin_subproof(m, start, start + k, b), twin_root(start + k, end)]
    return [*twin_subproof(m - k, start + k, end, False), twin_root(start, start + k)]


def flip(value, bit=0):
    return bytes([value[0] ^ 1 << bit]) + value[1:]


def refused(verify, **arguments):
    """Like ``pytest.raises``, whose price shows in a hundred thousand calls."""
    try:
        verify(**arguments)
    except ProofInvalid as error:
        return "leads to root" in error.what
    return False


def test_docstring_example(example):
    (_, root), (_, sibling) = (line.rsplit(maxsplit=1) for line in example(merkle).splitlines())
    leaves = [merkle.leaf_hash(entry) for entry in (b"one", b"two", b"three")]
    assert merkle.root_from_leaves(leaves).hex() == root
    assert [value.hex() for value in merkle.inclusion_proof(leaves, 2)] == [sibling]


def test_known_hashes():
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root_from_leaves([]) == merkle.EMPTY_ROOT


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_roots_and_ranges_of_every_size(size):
    assert merkle.root_from_leaves(LEAVES[:size]) == twin_root(0, size)
    grown = merkle.CompactRange()
    grown.extend(LEAVES[:size])
    assert grown.root() == twin_root(0, size)


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_inclusion_proof_and_one_flipped_bit_in_each_hash(size):
    root = twin_root(0, size)
    for index in range(size):
        proof = merkle.inclusion_proof(LEAVES[:size], index)
        assert proof == twin_path(index, 0, size)
        right = {"index": index, "size": size, "leaf": LEAVES[index], "root": root}
        merkle.verify_inclusion(proof=proof, **right)
        for at, value in enumerate(proof):
            changed = [*proof[:at], flip(value), *proof[at + 1 :]]
            assert refused(merkle.verify_inclusion, proof=changed, **right)
        assert refused(merkle.verify_inclusion, proof=proof, **(right | {"leaf": flip(LEAVES[index])}))
        with pytest.raises(ProofInvalid):
            merkle.verify_inclusion(proof=proof, **(right | {"index": (index + 1) % size if size > 1 else 1}))


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_every_consistency_proof_and_one_flipped_bit_in_each_hash(new):
    for old in range(1, new + 1):
        proof = merkle.consistency_proof(LEAVES[:new], old)
        assert proof == twin_subproof(old, 0, new, True)
        right = {"old": old, "new": new, "old_root": twin_root(0, old), "new_root": twin_root(0, new)}
        merkle.verify_consistency(proof=proof, **right)
        for at, value in enumerate(proof):
            changed = [*proof[:at], flip(value), *proof[at + 1 :]]
            assert refused(merkle.verify_consistency, proof=changed, **right)
        for root in ("old_root", "new_root"):
            assert refused(merkle.verify_consistency, proof=proof, **(right | {root: flip(right[root])}))


def test_rolling_hash_of_every_subtree_and_path():
    # The accumulated vectors of draft-ietf-plants-merkle-tree-certs, as kept in transparency-dev/merkle
    # testonly/vectors_test.go (Apache-2.0): every [start, end) whose start is aligned, empty ones included.
    roots, paths = hashlib.sha256(), hashlib.sha256()
    for end in range(LARGEST + 1):
        for start in range(end + 1):
            if start < end and start % (1 << (end - start - 1).bit_length()):
                continue
            leaves = LEAVES[start:end]
            roots.update(f"[{start}, {end}) {merkle.root_from_leaves(leaves).hex()}\n".encode())
            for index in range(start, end):
                hashes = "".join(f" {value.hex()}" for value in merkle.inclusion_proof(leaves, index - start))
                paths.update(f"{index} [{start}, {end}){hashes}\n".encode())
    assert roots.hexdigest() == "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"
    assert paths.hexdigest() == "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"


# --- attacks, one a test ---


def test_a_node_is_not_accepted_as_a_leaf():
    """Second preimage: an entry whose bytes are two hashes must not hash like their parent node."""
    forged = merkle.leaf_hash(LEAVES[0] + LEAVES[1])
    assert forged != merkle.node_hash(LEAVES[0], LEAVES[1])
    with pytest.raises(ProofInvalid):
        merkle.verify_inclusion(index=0, size=2, leaf=forged, proof=[twin_root(2, 4)], root=twin_root(0, 4))


def test_a_node_is_not_accepted_in_a_smaller_tree_of_the_same_root():
    merkle.verify_inclusion(index=0, size=4, leaf=LEAVES[0], proof=twin_path(0, 0, 4), root=twin_root(0, 4))
    with pytest.raises(ProofInvalid, match="exactly 1"):
        merkle.verify_inclusion(index=0, size=2, leaf=LEAVES[0], proof=twin_path(0, 0, 4), root=twin_root(0, 4))


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (8, 8), (-1, 8), (2**64, 2**64 - 1), (0, 2**64)])
def test_an_index_outside_the_tree_is_refused_before_hashing(index, size, monkeypatch):
    monkeypatch.setattr(merkle, "node_hash", _never)
    with pytest.raises(ProofInvalid, match="not in a tree"):
        merkle.verify_inclusion(index=index, size=size, leaf=LEAVES[0], proof=[], root=LEAVES[0])


@pytest.mark.parametrize("length", [0, 2, 4, 5000])
def test_another_proof_length_is_refused_before_hashing(length, monkeypatch):
    monkeypatch.setattr(merkle, "node_hash", _never)
    with pytest.raises(ProofInvalid, match="exactly 3 are needed"):
        merkle.verify_inclusion(index=0, size=8, leaf=LEAVES[0], proof=[LEAVES[1]] * length, root=LEAVES[2])
    with pytest.raises(ProofInvalid, match="exactly 3 are needed"):
        merkle.verify_consistency(old=6, new=8, old_root=LEAVES[0], new_root=LEAVES[1], proof=[LEAVES[1]] * length)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused_before_hashing(size, monkeypatch):
    monkeypatch.setattr(merkle, "node_hash", _never)
    bad = bytes(size)
    with pytest.raises(ProofInvalid, match="not 32"):
        merkle.verify_inclusion(index=0, size=2, leaf=LEAVES[0], proof=[bad], root=LEAVES[0])
    with pytest.raises(ProofInvalid, match="not 32"):
        merkle.verify_inclusion(index=0, size=1, leaf=bad, proof=[], root=bad)
    with pytest.raises(ProofInvalid, match="not 32"):
        merkle.verify_consistency(old=1, new=1, old_root=bad, new_root=bad, proof=[])


def _never(left, right):
    raise AssertionError("hashed before the checks")


def test_from_size_0_nothing_is_a_consistency_proof():
    root = twin_root(0, 5)
    with pytest.raises(ProofInvalid, match="from size 0"):
        merkle.verify_consistency(old=0, new=5, old_root=merkle.EMPTY_ROOT, new_root=root, proof=[])
    with pytest.raises(ProofInvalid, match="from size 0"):
        merkle.verify_consistency(old=0, new=0, old_root=root, new_root=root, proof=[])
    merkle.verify_from_empty(old_root=merkle.EMPTY_ROOT, proof=[])
    with pytest.raises(ProofInvalid, match="exactly 0"):
        merkle.verify_from_empty(old_root=merkle.EMPTY_ROOT, proof=[root])
    with pytest.raises(ProofInvalid, match="leads to root"):
        merkle.verify_from_empty(old_root=root, proof=[])


def test_equal_sizes_need_equal_roots_and_no_proof():
    one, other = twin_root(0, 5), twin_root(0, 6)
    merkle.verify_consistency(old=5, new=5, old_root=one, new_root=one, proof=[])
    with pytest.raises(ProofInvalid, match="new tree"):
        merkle.verify_consistency(old=5, new=5, old_root=one, new_root=other, proof=[])
    with pytest.raises(ProofInvalid, match="exactly 0"):
        merkle.verify_consistency(old=5, new=5, old_root=one, new_root=one, proof=[one])


def test_a_tree_does_not_shrink():
    with pytest.raises(ProofInvalid, match="from size 6 to size 5"):
        merkle.verify_consistency(old=6, new=5, old_root=twin_root(0, 6), new_root=twin_root(0, 5), proof=[])


def test_a_rewritten_history_has_no_proof():
    """A log that changes entry 3 and goes on: no proof that it can make joins the old root to the new one."""
    forked = [*LEAVES[:3], merkle.leaf_hash(b"rewritten"), *LEAVES[4:9]]
    with pytest.raises(ProofInvalid, match="old tree"):
        merkle.verify_consistency(
            old=6,
            new=9,
            old_root=twin_root(0, 6),
            new_root=merkle.root_from_leaves(forked),
            proof=merkle.consistency_proof(forked, 6),
        )


@pytest.mark.parametrize("size", [2**32 + 1, 2**63 + 1, MAX_TREE_SIZE])
def test_proofs_of_the_largest_trees_have_bounded_length(size):
    for index in (0, size // 2, size - 1):
        assert len(merkle.inclusion_ranges(index, size)) <= 64
        assert len(merkle.consistency_ranges(index or 1, size)) <= 65


@given(st.integers(1, 2**64 - 1), st.data())
def test_ranges_tile_the_tree(size, data):
    """Leaf and sibling ranges lie side by side: nothing is left out of a root, nothing counted twice."""
    index = data.draw(st.integers(0, size - 1))
    ranges = sorted([*merkle.inclusion_ranges(index, size), (index, index + 1)])
    assert ranges[0][0] == 0
    assert ranges[-1][1] == size
    assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    for start, end in ranges:
        nodes = merkle.range_nodes(start, end)
        assert [i << level for level, i in nodes] == [start, *((i + 1) << level for level, i in nodes[:-1])]
        assert nodes[-1][1] + 1 << nodes[-1][0] == end


# --- making proofs ---


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100, 255, 256, 257])
def test_the_reader_contract_in_memory(size, make_log, hash_reader_contract):
    log = make_log(size)
    hash_reader_contract(log, log.leaves)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.data())
def test_proofs_from_a_reader_equal_those_in_memory(make_log, size, data):
    log = make_log(300)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    leaves = log.leaves[:size]
    assert merkle.prove_inclusion(log, size=size, index=index) == merkle.inclusion_proof(leaves, index)
    assert merkle.prove_consistency(log, old=old, new=size) == merkle.consistency_proof(leaves, old)
    assert merkle.root_at(log, size) == merkle.root_from_leaves(leaves)


def test_one_read_a_proof(make_log):
    log, calls = make_log(1000), []

    class Counting:
        def read(self, nodes):
            calls.append(list(nodes))
            return log.read(nodes)

    merkle.prove_inclusion(Counting(), size=1000, index=777)
    merkle.prove_consistency(Counting(), old=333, new=1000)
    assert len(calls) == 2
    assert merkle.root_at(Counting(), 0) == merkle.EMPTY_ROOT
    assert merkle.prove_consistency(Counting(), old=5, new=5) == []
    assert len(calls) == 2


def test_a_reader_that_gives_too_little_is_refused():
    class Short:
        def read(self, nodes):
            return [LEAVES[0]] * (len(nodes) - 1)

    class Cut:
        def read(self, nodes):
            return [LEAVES[0][:31]] * len(nodes)

    with pytest.raises(FormatError, match="for 3 nodes"):
        merkle.prove_inclusion(Short(), size=8, index=0)
    with pytest.raises(FormatError, match="31 bytes"):
        merkle.prove_inclusion(Cut(), size=8, index=0)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_proof_outside_the_tree(index, size):
    with pytest.raises(UsageError, match="no inclusion proof"):
        merkle.inclusion_proof(LEAVES[:size], index)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_proof_from_nothing_or_backwards(old, new):
    with pytest.raises(UsageError, match="no consistency proof"):
        merkle.consistency_proof(LEAVES[:new], old)


def test_leaf_hashes_have_32_bytes():
    with pytest.raises(FormatError, match="hash 1 has 3 bytes"):
        merkle.root_from_leaves([LEAVES[0], b"abc"])
