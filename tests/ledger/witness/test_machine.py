"""Whatever is asked of it, in whatever order: no two roots for one size, never a smaller tree, never an older time.

The machine plays an operator who owns the log's key and forks it at will, clients that know nothing and clients that
lie about sizes and proofs, a clock that jumps, and restarts.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import parse_body
from dataseal.ledger.tlog.cosignature import verify_cosignatures
from dataseal.ledger.witness.state import State
from dataseal.ledger.witness.wire import AddCheckpoint
from dataseal.ledger.witness.witness import Witness
from support.witnessing import NOW, ORIGIN, Tree, cosigner, make_state

W1 = cosigner("w1")
SIZES = st.integers(0, 20)


class Promises(RuleBasedStateMachine):
    trees = Bundle("trees")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "w.sqlite"
        self.now = NOW
        self.cosigned = []  # (size, root, time), in order
        self.history = []  # the leaves that the witness is bound to
        self.witness = Witness(make_state(self.path, W1), [W1], clock=lambda: self.now)

    def teardown(self):
        self.witness.state.close()
        self.folder.cleanup()

    @initialize(target=trees)
    def first(self):
        return Tree.of(3)

    @rule(target=trees, tree=trees, count=st.integers(1, 6))
    def grow(self, tree, count):
        return Tree(list(tree.leaves)).grow(count)

    @rule(target=trees, tree=trees, size=SIZES, count=st.integers(1, 6), salt=st.sampled_from("xy"))
    def fork(self, tree, size, count, salt):
        return tree.fork(size, count, salt)

    @rule(tree=trees, size=SIZES, old=st.none() | SIZES, source=trees)
    def submit(self, tree, size, old, source):
        """From the witness's own size, or any; with this tree's proof or another's."""
        size = min(size, tree.size)
        latest = self.witness.state.latest(ORIGIN)
        known = latest.size if latest else 0
        start = known if old is None else old
        proof = source.proof(start, size) if start <= size <= source.size else ()
        reply = self.witness.add_checkpoint(AddCheckpoint(start, proof, tree.checkpoint(size)).encode())
        if reply.status == 200:
            text = notes.parse(tree.checkpoint(size)).text
            (seen,) = verify_cosignatures(text, notes.parse_signatures(reply.body), [W1.verifier])
            self.cosigned.append((size, tree.root(size), seen.timestamp))
            assert tree.leaves[: len(self.history)] == self.history
            self.history = tree.leaves[:size]
        elif start == known and start <= size and tree.leaves[:known] == self.history and source is tree:
            raise AssertionError(f"an honest request was refused: {reply}")

    @rule(jump=st.integers(-100_000, 100_000))
    def clock_jumps(self, jump):
        self.now += jump

    @rule()
    def restart(self):
        self.witness.state.close()
        self.witness = Witness(State(self.path), [W1], clock=lambda: self.now)

    @invariant()
    def one_root_a_size(self):
        assert len({size for size, _, _ in self.cosigned}) == len({(size, root) for size, root, _ in self.cosigned})

    @invariant()
    def never_back(self):
        assert [c[0] for c in self.cosigned] == sorted(c[0] for c in self.cosigned)
        assert [c[2] for c in self.cosigned] == sorted(c[2] for c in self.cosigned)

    @invariant()
    def the_record_is_the_last_cosignature(self):
        latest = self.witness.state.latest(ORIGIN)
        last = self.cosigned[-1] if self.cosigned else None
        assert (latest and (latest.size, latest.root, latest.timestamp)) == last
        if latest:
            assert parse_body(notes.parse(latest.note).text).root == latest.root


Promises.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPromises = Promises.TestCase
