"""A log is read from its resources, and nothing is believed that does not lead to its checkpoint."""

from __future__ import annotations

import threading

import pytest

from dataseal.ledger.errors import FormatError, ProofInvalid, Rollback, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.follow import Fork, check_extends, open_tree
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog.cosignature import Ed25519Cosigner
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.tlog.proof import parse_proof, verify_proof
from dataseal.ledger.tlog.tile import Tile, new_tiles
from support.errors import refused
from support.hostile_log import HostileLog, log_key, seeded

SIZE = 600


@pytest.fixture(scope="module")
def grown() -> HostileLog:
    """A log of 600 entries, over three bundles; tests take a copy."""
    return HostileLog().grow(SIZE)


@pytest.fixture
def log(grown: HostileLog) -> HostileLog:
    return grown.copy()


class TestReads:
    @pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 600])
    def test_every_entry_of_every_size(self, log: HostileLog, size: int) -> None:
        log.served.clear()
        tree = open_tree(log.publish(size), log.policy)
        found = list(tree.entries())
        assert [leaf.index for leaf in found] == list(range(size))
        assert [leaf.body for leaf in found] == log.bodies[:size]
        assert [leaf.leaf for leaf in found] == [merkle.leaf_hash(body) for body in log.bodies[:size]]

    @pytest.mark.parametrize(("start", "stop"), [(0, 0), (255, 257), (256, 256), (300, 301), (599, 600), (600, 600)])
    def test_any_range(self, log: HostileLog, start: int, stop: int) -> None:
        tree = open_tree(log, log.policy)
        assert [leaf.body for leaf in tree.entries(start, stop)] == log.bodies[start:stop]

    def test_an_older_tree_whose_partials_are_gone(self, log: HostileLog) -> None:
        """As tlog-tiles allows it: full tiles stand in for deleted partial ones."""
        log.publish(300).publish(SIZE)
        log.served["checkpoint"] = log.checkpoint(300)
        del log.served["tile/0/001.p/44"], log.served["tile/entries/001.p/44"]
        tree = open_tree(log, log.policy)
        assert [leaf.body for leaf in tree.entries()] == log.bodies[:300]
        assert tree.entry(299).body == log.bodies[299]

    def test_the_tiles_that_a_mirror_writes(self, log: HostileLog) -> None:
        tree = open_tree(log, log.policy)
        for tile in new_tiles(0, SIZE):
            assert tree.tile(tile) == log.served[tile.path]

    def test_proofs_that_a_consumer_verifies(self, log: HostileLog) -> None:
        tree = open_tree(log, log.policy)
        for index in (0, 255, 256, 599):
            proof = parse_proof(tree.prove(index).encode())
            found = verify_proof(proof, merkle.leaf_hash(log.bodies[index]), log.policy)
            assert found.index == index
            assert proof.extra == log.bodies[index].partition(b"\n")[0]

    def test_a_bounded_number_of_bundles_ahead(self, log: HostileLog) -> None:
        asked = log.asked
        entries = open_tree(log, log.policy).entries(jobs=1)
        next(entries)
        assert sum("entries" in path for path in asked) <= 3
        entries.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("dataseal-fetch")]

    def test_an_entry_that_is_not_there_is_misuse(self, log: HostileLog) -> None:
        tree = open_tree(log, log.policy)
        for index in (-1, SIZE, 2**70):
            with refused(UsageError, str(SIZE)):
                tree.entry(index)
            with refused(UsageError):
                tree.leaf(index)
        with refused(UsageError):
            list(tree.entries(2, 1))
        with refused(UsageError):
            tree.tile(Tile(None, 0))


class TestAttacks:
    @pytest.mark.parametrize("path", ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"])
    @pytest.mark.parametrize("at", [0, 31, -1])
    def test_a_flipped_bit_in_any_tile(self, log: HostileLog, path: str, at: int) -> None:
        log.flip(path, at)
        with refused(ProofInvalid, "tiles do not lead to its checkpoint"):
            list(open_tree(log, log.policy).entries())

    @pytest.mark.parametrize("path", ["tile/entries/000", "tile/entries/002.p/88"])
    def test_a_flipped_bit_in_an_entry(self, log: HostileLog, path: str) -> None:
        log.flip(path, 500)
        with refused(ProofInvalid, "its bytes were changed", path):
            list(open_tree(log, log.policy).entries())

    def test_an_entry_of_another_length(self, log: HostileLog) -> None:
        log.flip("tile/entries/001", 1)
        with pytest.raises((FormatError, ProofInvalid)):
            list(open_tree(log, log.policy).entries())

    def test_two_entries_swapped(self, log: HostileLog) -> None:
        log.bodies[3], log.bodies[4] = log.bodies[4], log.bodies[3]
        checkpoint, tile = log.served["checkpoint"], log.served["tile/0/000"]
        log.publish()
        log.served |= {"checkpoint": checkpoint, "tile/0/000": tile, "tile/1/000.p/2": log.served["tile/1/000.p/2"]}
        with pytest.raises(ProofInvalid):
            list(open_tree(log, log.policy).entries())

    @pytest.mark.parametrize("path", ["tile/entries/001", "tile/entries/002.p/88", "tile/0/000", "tile/0/002.p/88"])
    def test_a_dropped_resource_is_no_verdict_and_named(self, log: HostileLog, path: str) -> None:
        log.drop(path)
        with refused(Unavailable, path.partition(".p/")[0], log.name):
            list(open_tree(log, log.policy).entries())

    @pytest.mark.parametrize("data", [b"", b"x", b"x" * 31])
    def test_a_cut_tile(self, log: HostileLog, data: bytes) -> None:
        log.served["tile/0/001"] = data
        with refused(FormatError, "tile/0/001"):
            list(open_tree(log, log.policy).entries())

    def test_a_cut_bundle(self, log: HostileLog) -> None:
        log.served["tile/entries/000"] = (log.served["tile/entries/000"] or b"")[:-1]
        with refused(FormatError, "tile/entries/000"):
            list(open_tree(log, log.policy).entries())

    def test_no_checkpoint_is_no_verdict(self, log: HostileLog) -> None:
        log.drop("checkpoint")
        with refused(Unavailable, "no checkpoint"):
            open_tree(log, log.policy)

    def test_another_key(self, log: HostileLog) -> None:
        log.served["checkpoint"] = log.checkpoint(SIZE, log_key(name="thief"))
        with refused(SignatureInvalid, "checkpoint"):
            open_tree(log, log.policy)

    def test_another_log(self, log: HostileLog) -> None:
        with refused(SignatureInvalid):
            open_tree(log, policy_for_log(log_key("other.example/log").vkey))

    def test_a_checkpoint_without_its_witnesses(self) -> None:
        log = HostileLog(witnesses=[Ed25519Cosigner("w.example/1", seeded("w1"))]).grow(3)
        policy = log.policy
        assert open_tree(log, policy).checked.witnesses_seen == 1
        log.witnesses = ()
        log.publish()
        with refused(ProofInvalid, "quorum"):
            open_tree(log, policy)

    def test_a_checkpoint_without_tiles_is_not_believed(self, log: HostileLog) -> None:
        """A signed head alone: its entries could never be shown."""
        log.served = {"checkpoint": log.served["checkpoint"]}
        with refused(Unavailable, "tile"):
            open_tree(log, log.policy)


class TestExtends:
    @pytest.mark.parametrize("old", [0, 1, 255, 256, 257, 512, 599, 600])
    def test_an_honest_log_extends_every_older_size(self, log: HostileLog, old: int) -> None:
        checkpoint = open_tree(log.copy().publish(old), log.policy).checkpoint
        check_extends(open_tree(log, log.policy), checkpoint)

    @pytest.mark.parametrize("at", [0, 1, 255, 256, 300, 599])
    def test_a_fork_is_told_at_every_place(self, log: HostileLog, at: int) -> None:
        believed = open_tree(log, log.policy).checkpoint
        fork = log.forked(at).grow(SIZE + 20 - at)
        with refused(Fork, "size 600", "size 620", believed.root.hex()):
            check_extends(open_tree(fork, log.policy), believed)

    def test_a_fork_of_the_same_size(self, log: HostileLog) -> None:
        believed = open_tree(log, log.policy).checkpoint
        fork = log.forked(590).grow(10)
        with refused(Fork, believed.root.hex()):
            check_extends(open_tree(fork, log.policy), believed)

    def test_a_smaller_tree_is_a_rollback(self, log: HostileLog) -> None:
        believed = open_tree(log, log.policy).checkpoint
        with refused(Rollback, "size 599", "size 600"):
            check_extends(open_tree(log.publish(599), log.policy), believed)

    def test_an_altered_tile_is_not_taken_for_a_fork(self, log: HostileLog) -> None:
        believed = open_tree(log.copy().publish(100), log.policy).checkpoint
        tree = open_tree(log, log.policy)
        log.flip("tile/0/000")
        with refused(ProofInvalid, "tile/0/000"):
            check_extends(tree, believed)

    def test_two_logs_are_not_compared(self, log: HostileLog) -> None:
        other = HostileLog(log_key("other.example/log")).grow(1)
        with refused(UsageError, "two logs"):
            check_extends(open_tree(log, log.policy), open_tree(other, other.policy).checkpoint)
