"""A log by another implementation: transparency-dev/tessera's test data (Apache-2.0), grown from 0 to 15 entries.

The copy in ``tests/vectors/tlog_tessera.json`` always runs; every file of the original, when ``../shared`` is there.
"""

from __future__ import annotations

import pytest

from dataseal.ledger.errors import ProofInvalid, SignatureInvalid
from dataseal.ledger.tlog import merkle, tile
from dataseal.ledger.tlog.checkpoint import open_checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import LogProof, parse_proof, verify_proof
from dataseal.ledger.tlog.reader import TileReader

ORIGIN = "example.com/log/testdata"
SIZES = range(16)


@pytest.fixture(scope="module")
def copy(vectors):
    return vectors("tlog_tessera.json")


@pytest.fixture(scope="module")
def heads(copy):
    key = parse_vkey(copy["vkey"])
    return [
        open_checkpoint(data.encode(), [key], origin=ORIGIN, strict=True).checkpoint for data in copy["checkpoints"]
    ]


@pytest.fixture(scope="module")
def leaves(copy):
    return tile.decode_tile(bytes.fromhex(copy["tile/0/000.p/15"]), 15)


def test_every_checkpoint_has_the_root_of_its_leaves(heads, leaves):
    edge = merkle.CompactRange()
    assert [head.size for head in heads] == list(SIZES)
    for size in SIZES:
        assert heads[size].root == edge.root() == merkle.root_from_leaves(leaves[:size])
        if size < 15:
            edge.append(leaves[size])


def test_every_entry_hashes_to_its_leaf(copy, leaves):
    entries = tile.decode_bundle(bytes.fromhex(copy["tile/entries/000.p/15"]), 15)
    assert entries[:3] == [b"one", b"two", b"three"]
    assert tile.entry_hashes(entries) == leaves


def test_every_pair_of_checkpoints_is_consistent(heads, leaves):
    for new in SIZES[1:]:
        for old in range(1, new + 1):
            merkle.verify_consistency(
                old=old,
                new=new,
                old_root=heads[old].root,
                new_root=heads[new].root,
                proof=merkle.consistency_proof(leaves[:new], old),
            )


def test_a_proof_file_over_their_checkpoint(copy, leaves):
    checkpoint = copy["checkpoints"][15].encode()
    for index, leaf in enumerate(leaves):
        data = LogProof(index, tuple(merkle.inclusion_proof(leaves, index)), checkpoint).encode()
        assert verify_proof(parse_proof(data), leaf, policy_for_log(copy["vkey"])).checked.checkpoint.size == 15


def test_one_flipped_bit_in_a_checkpoint_is_found(copy):
    key = parse_vkey(copy["vkey"])
    data = copy["checkpoints"][15].replace("\n15\n", "\n14\n").encode()
    with pytest.raises(SignatureInvalid):
        open_checkpoint(data, [key], origin=ORIGIN)


def test_their_files(shared_vectors, copy, heads):
    """Each checkpoint, partial tile and entry bundle as served, read through the authenticated reader."""
    folder = shared_vectors / "tessera" / "testdata" / "log"
    key = parse_vkey(copy["vkey"])
    for size in SIZES:
        data = (folder / f"checkpoint.{size}").read_bytes()
        head = open_checkpoint(data, [key], origin=ORIGIN).checkpoint
        assert head == heads[size]
        reader = TileReader(lambda path: (folder / path).read_bytes(), size=size, root=head.root)
        assert merkle.root_at(reader, size) == head.root
        for bundle in tile.new_bundles(0, size):
            entries = tile.decode_bundle((folder / bundle.path).read_bytes(), bundle.width)
            assert tile.entry_hashes(entries) == reader.leaves(bundle.index)
        for index in range(size):
            path = merkle.prove_inclusion(reader, size=size, index=index)
            leaf = reader.read([(0, index)])[0]
            merkle.verify_inclusion(index=index, size=size, leaf=leaf, proof=path, root=head.root)
    files = {path.relative_to(folder).as_posix() for path in (folder / "tile").rglob("*") if path.is_file()}
    served = {found.path for size in SIZES for found in (*tile.tiles_for(size), *tile.new_bundles(0, size))}
    assert files == served
    assert (folder / "checkpoint").read_bytes() == copy["checkpoints"][15].encode()


def test_their_tile_with_one_flipped_bit_is_refused(copy, heads):
    data = bytearray.fromhex(copy["tile/0/000.p/15"])
    data[100] ^= 1
    with pytest.raises(ProofInvalid):
        TileReader(lambda path: bytes(data), size=15, root=heads[15].root).read([(0, 0)])
