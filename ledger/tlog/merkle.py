"""RFC 6962 section 2.1 Merkle trees: roots, inclusion and consistency proofs, O(log n) appends.

The tree over the entries D[n] = d(0) … d(n-1) is, in the RFC's terms::

    MTH({})   = SHA-256()
    MTH({d})  = SHA-256(0x00 || d)                                  a leaf hash
    MTH(D[n]) = SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))         k the largest power of two below n

The two prefixes keep a leaf from being read as a node and the reverse. A *node* is named ``(level,
index)``: the complete subtree over the leaves ``index << level`` up to ``(index + 1) << level``; level 0
are the leaf hashes. A proof is a list of MTH values over ranges of leaves; which ranges, follows from the
sizes alone, so that its exact length is known, and checked, before anything is hashed.

Example, a tree over the entries ``one``, ``two``, ``three`` (``tests/ledger/tlog/test_merkle.py`` holds it)::

    MTH(D[3])        5aac771c899ac292e74bf1afe2e6e302f8b55883b2d1bf197b46a6bea6dabca9
    PATH(2, D[3])    4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple, Protocol

from dataseal.ledger.errors import FormatError, ProofInvalid, UsageError
from dataseal.ledger.tlog.limits import HASH_BYTES, MAX_TREE_SIZE

EMPTY_ROOT: Final = sha256(b"").digest()
"""MTH({}): the root of the empty tree."""

Node = tuple[int, int]
"""``(level, index)`` of a complete subtree: leaves ``index << level`` up to ``(index + 1) << level``."""

Range = tuple[int, int]
"""``(start, end)``: the leaves D[start:end]."""


class HashReader(Protocol):
    """Where a log keeps the hashes of its complete subtrees."""

    def read(self, nodes: Sequence[Node]) -> list[bytes]:
        """The hash of each node, 32 bytes each, in the order asked for."""


class Subtrees(NamedTuple):
    """Neighbouring complete subtrees of one level: node ``(level, first + i)`` has the hash ``hashes[i]``."""

    level: int
    first: int
    hashes: list[bytes]


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): RFC 6962 section 2.1, the hash of a list with one entry."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right): RFC 6962 section 2.1, the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_from_leaves(leaf_hashes: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes (not entries): the root, 32 bytes.

    Raises:
        FormatError: a leaf hash is not 32 bytes.
    """
    _demand_hashes(leaf_hashes)
    row = list(leaf_hashes)
    while len(row) > 1:
        # Pairing neighbours and carrying an odd last one up splits at the largest power of two below n.
        above = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]
        if len(row) % 2:
            above.append(row[-1])
        row = above
    return row[0] if row else EMPTY_ROOT


# --- which ranges make a proof: the RFC's two recursions, as loops over (start, end) ---


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges of PATH(index, D[size]), leaf's sibling first (RFC 6962 section 2.1.1). ``index < size``."""
    start, end = 0, size
    ranges: list[Range] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:  # PATH(m, D[0:k]) : MTH(D[k:n])
            ranges.append((middle, end))
            end = middle
        else:  # PATH(m - k, D[k:n]) : MTH(D[0:k])
            ranges.append((start, middle))
            start = middle
    ranges.reverse()
    return ranges


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges of PROOF(old, D[new]), in its order (RFC 6962 section 2.1.2). ``0 < old <= new``.

    When the first range ends at ``old``, it is the old tree's rightmost subtree (SUBPROOF with b = false);
    otherwise the old tree is one complete subtree and its root, which the verifier has, is left out (b =
    true).
    """
    start, end = 0, new
    ranges: list[Range] = []
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:  # SUBPROOF(m, D[0:k], b) : MTH(D[k:n])
            ranges.append((middle, end))
            end = middle
        else:  # SUBPROOF(m - k, D[k:n], false) : MTH(D[0:k])
            ranges.append((start, middle))
            start = middle
    if start > 0:
        ranges.append((start, end))
    ranges.reverse()
    return ranges


def range_nodes(start: int, end: int) -> list[Node]:
    """The complete subtrees whose hashes fold to MTH(D[start:end]), left to right.

    ``start`` is a multiple of the largest power of two in ``end - start``, as it is for every range of a
    proof.
    """
    nodes: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


# --- proofs: made from leaf hashes in memory, or from a reader ---


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """PATH(index, D[n]) from all n leaf hashes; O(n).

    Raises:
        UsageError: no such leaf.
    """
    _demand_index(index, len(leaf_hashes))
    return [root_from_leaves(leaf_hashes[a:b]) for a, b in inclusion_ranges(index, len(leaf_hashes))]


def consistency_proof(leaf_hashes: Sequence[bytes], old: int) -> list[bytes]:
    """PROOF(old, D[n]) from all n leaf hashes; O(n).

    Raises:
        UsageError: ``old`` is 0 (nothing to prove) or above n.
    """
    _demand_sizes(old, len(leaf_hashes))
    return [root_from_leaves(leaf_hashes[a:b]) for a, b in consistency_ranges(old, len(leaf_hashes))]


def prove_inclusion(reader: HashReader, *, size: int, index: int) -> list[bytes]:
    """PATH(index, D[size]) with one call of ``reader.read`` for O(log² size) nodes.

    Raises:
        UsageError: no such leaf.
    """
    _demand_index(index, size)
    return _read_ranges(reader, inclusion_ranges(index, size))


def prove_consistency(reader: HashReader, *, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) with one call of ``reader.read``.

    Raises:
        UsageError: ``old`` is 0 (nothing to prove) or above ``new``.
    """
    _demand_sizes(old, new)
    return _read_ranges(reader, consistency_ranges(old, new))


def root_at(reader: HashReader, size: int) -> bytes:
    """MTH(D[size]) with one call of ``reader.read``: the root, 32 bytes."""
    return _read_ranges(reader, [(0, size)])[0] if size else EMPTY_ROOT


# --- verification: sizes and lengths first, then hashing; a failure raises ---


def verify_inclusion(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Checks that the leaf hash ``leaf`` is number ``index`` of the tree with ``size`` leaves and ``root``.

    Raises:
        ProofInvalid: index, proof length, a hash's length or the computed root do not fit.
    """
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ProofInvalid(f"index {index} is not in a tree of {size} leaves", hint=_OTHER_PROOF)
    ranges = inclusion_ranges(index, size)
    what = f"inclusion proof of index {index} in size {size}"
    _demand_proof(what, proof, len(ranges), (leaf, root))
    computed = leaf
    for (start, _), sibling in zip(ranges, proof, strict=True):
        computed = node_hash(computed, sibling) if start > index else node_hash(sibling, computed)
    _demand_root(what, computed, root)


def verify_consistency(*, old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Checks that the tree of ``new`` leaves with ``new_root`` begins with that of ``old`` and ``old_root``.

    Equal sizes need an empty proof and equal roots. From size 0 there is nothing to prove, so that a
    "proof" from it, which any tree would pass, is an error: use `verify_from_empty`.

    Raises:
        ProofInvalid: sizes, proof length, a hash's length or a computed root do not fit.
    """
    if not 0 < old <= new <= MAX_TREE_SIZE:
        raise ProofInvalid(f"no consistency proof leads from size {old} to size {new}", hint=_OTHER_PROOF)
    ranges = consistency_ranges(old, new)
    what = f"consistency proof from size {old} to size {new}"
    _demand_proof(what, proof, len(ranges), (old_root, new_root))
    rest = list(zip(ranges, proof, strict=True))
    seed = rest.pop(0)[1] if ranges and ranges[0][1] == old else old_root
    computed_old = computed_new = seed
    for (start, _), sibling in rest:
        if start >= old:
            computed_new = node_hash(computed_new, sibling)
        else:
            computed_old = node_hash(sibling, computed_old)
            computed_new = node_hash(sibling, computed_new)
    _demand_root(f"{what}, old tree", computed_old, old_root)
    _demand_root(f"{what}, new tree", computed_new, new_root)


def verify_from_empty(*, old_root: bytes, proof: Sequence[bytes]) -> None:
    """Checks what can be checked from size 0: the empty tree's root and an empty proof (tlog-witness).

    It says nothing about the new tree: every tree begins with the empty one.

    Raises:
        ProofInvalid: ``old_root`` is not `EMPTY_ROOT`, or the proof has hashes.
    """
    _demand_proof("consistency proof from size 0", proof, 0, (old_root,))
    _demand_root("consistency proof from size 0", EMPTY_ROOT, old_root)


class CompactRange:
    """The right edge of a growing tree: the roots of its perfect subtrees, at most 64 hashes.

    Args:
        size: number of leaves.
        hashes: the roots of the perfect subtrees of ``size`` (one per set bit), left to right, largest first.

    Raises:
        FormatError: the number of hashes does not fit the size, or one is not 32 bytes.
    """

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        nodes = range_nodes(0, size)
        if not 0 <= size <= MAX_TREE_SIZE or len(hashes) != len(nodes):
            raise FormatError(f"a tree of {size} leaves has {len(nodes)} perfect subtrees, not {len(hashes)}")
        _demand_hashes(hashes)
        self._size = size
        self._edge = {level: value for (level, _), value in zip(nodes, hashes, strict=True)}

    def copy(self) -> CompactRange:
        """The same range, to be extended by itself."""
        other = object.__new__(CompactRange)
        other._size, other._edge = self._size, dict(self._edge)
        return other

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, left to right; with `size` it rebuilds this object."""
        return tuple(self._edge[level] for level in sorted(self._edge, reverse=True))

    def root(self) -> bytes:
        """MTH over all leaves so far: 32 bytes."""
        return _fold(self.hashes) if self._edge else EMPTY_ROOT

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Adds one leaf hash; returns each node that it completes, ``(level, index, hash)``."""
        return [(level, first, hashes[0]) for level, first, hashes in self.extend((leaf,))]

    def extend(self, leaves: Iterable[bytes]) -> list[Subtrees]:
        """Adds leaf hashes in order; returns the nodes that they complete, one item a level from 0 up.

        Raises:
            FormatError: a leaf hash is not 32 bytes; nothing is added then.
        """
        fresh = list(leaves)
        _demand_hashes(fresh)
        level, first, grown = 0, self._size, []
        self._size += len(fresh)
        while fresh:
            grown.append(Subtrees(level, first, fresh))
            row = [self._edge.pop(level), *fresh] if first % 2 else fresh  # an odd start has a left sibling waiting
            if len(row) % 2:
                self._edge[level] = row[-1]
            # `node_hash`, whose call alone would cost a quarter of the time
            fresh = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]
            level, first = level + 1, first // 2
        return grown


# --- inside ---

_OTHER_PROOF = "fetch the proof for this entry and checkpoint again; if it fails again, keep both as evidence"


def _split(size: int) -> int:
    """k, the largest power of two smaller than ``size`` (RFC 6962 section 2.1). ``size > 1``."""
    return 1 << ((size - 1).bit_length() - 1)


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Joins the perfect subtrees of a range, left to right, into its MTH: the smallest two first."""
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def _read_ranges(reader: HashReader, ranges: Sequence[Range]) -> list[bytes]:
    plans = [range_nodes(start, end) for start, end in ranges]
    wanted = [node for plan in plans for node in plan]
    hashes = reader.read(wanted) if wanted else []
    if len(hashes) != len(wanted):
        raise FormatError(f"the hash reader gave {len(hashes)} hashes for {len(wanted)} nodes")
    _demand_hashes(hashes)
    rest = iter(hashes)
    return [_fold([next(rest) for _ in plan]) for plan in plans]


def _demand_index(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise UsageError(f"no inclusion proof of index {index} in a tree of {size} leaves")


def _demand_sizes(old: int, new: int) -> None:
    if not 0 < old <= new <= MAX_TREE_SIZE:
        raise UsageError(f"no consistency proof from size {old} to size {new}: 0 < old <= new is needed")


def _demand_hashes(hashes: Sequence[bytes]) -> None:
    for position, value in enumerate(hashes):
        if len(value) != HASH_BYTES:
            raise FormatError(f"hash {position} has {len(value)} bytes; a SHA-256 hash has {HASH_BYTES}")


def _demand_proof(what: str, proof: Sequence[bytes], expected: int, ends: Sequence[bytes]) -> None:
    if len(proof) != expected:
        raise ProofInvalid(f"{what} has {len(proof)} hashes; exactly {expected} are needed", hint=_OTHER_PROOF)
    for value in (*ends, *proof):
        if len(value) != HASH_BYTES:
            raise ProofInvalid(f"{what}: a hash or root has {len(value)} bytes, not {HASH_BYTES}", hint=_OTHER_PROOF)


def _demand_root(what: str, computed: bytes, expected: bytes) -> None:
    if computed != expected:
        raise ProofInvalid(f"{what} leads to root {computed.hex()}, not {expected.hex()}", hint=_OTHER_PROOF)
