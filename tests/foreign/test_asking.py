"""Our client asks a foreign witness, aics-witness, live: every status that it gives, and what comes of it.

`test_witness` speaks to it byte by byte; here it is asked by `Witnesses.ask`, and by a workspace's own log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.errors import Rollback
from dataseal.ledger.resources import StoreResources
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import LogPolicy, parse_policy
from dataseal.ledger.witness.answer import Asked, Outcome
from dataseal.ledger.witness.client import Witnesses
from dataseal.ledger.witness.sizes import MemorySizes
from foreign.aics_witness import Witness, aics, serving, set_up
from foreign.logs import StaticLog, mldsa44, read_all, seed
from foreign.tools import PROPERTY, Verifier
from support.cli import dataseal
from support.errors import refused
from support.ledgers import log_receipts
from support.static_log import export
from support.witnessed import configure, reopened
from support.witnessing import Tree
from support.workspaces import Bench, make_bench

LEDGER = "log.example/asking"


def signer(name: str) -> Ed25519Signer:
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed(name)))


_SIGNERS = [signer(f"log.example/a{n}") for n in range(20)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("bench") / "workspace", LEDGER)


@pytest.fixture(scope="module")
def running(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    known = [(LEDGER, bench.log.vkey), *((one.name, one.vkey) for one in _SIGNERS)]
    with serving(set_up(tmp_path_factory.mktemp("witness"), known)) as witness:
        yield witness


@pytest.fixture
def witness(running: Witness, request: pytest.FixtureRequest) -> Witness:
    request.node.user_properties.append((PROPERTY, f"witness aics: aics-witness {running.version}"))
    return running


@pytest.fixture(scope="module")
def unused() -> Iterator[Ed25519Signer]:
    return iter(_SIGNERS)


@pytest.fixture
def tree(unused: Iterator[Ed25519Signer]) -> Tree:
    """A log of ten entries that the witness knows and has not seen."""
    return Tree(signer=next(unused)).grow(10)


def policy(tree: Tree, witness: Witness, *more: str) -> LogPolicy:
    lines = [f"log {tree.signer.vkey}", *more, f"witness aics {witness.vkey} http://127.0.0.1:{witness.port}"]
    return parse_policy("\n".join([*lines, "quorum aics", ""]))


def ask(tree: Tree, witness: Witness, *, note: bytes | None = None, known: int | None = None) -> Asked:
    sizes = MemorySizes()
    found = policy(tree, witness)
    if known is not None:
        key = parse_vkey(witness.vkey)
        sizes.save({f"{key.name}+{key.key_id.hex()} {tree.signer.name}": known})
    return Witnesses(found, sizes=sizes).ask(note or tree.checkpoint(), tree)


def outcome(asked: Asked) -> tuple[Outcome, str]:
    (answer,) = asked.answers
    return answer.outcome, answer.detail


# --- 200 ---


def test_200_the_merged_checkpoint_is_ours_and_cosigned(witness: Witness, tree: Tree) -> None:
    client = Witnesses(policy(tree, witness))
    for grown in (0, 1, 245, 1, 300):
        asked = client.ask(tree.grow(grown).checkpoint(), tree)
        assert asked.quorum_met, asked.summary()
        assert policy(tree, witness).check(asked.publishable()).checkpoint.size == tree.size
        assert asked.note.startswith(tree.checkpoint())
    assert witness.latest(tree.signer.name).body == asked.note


def test_200_again_for_what_it_cosigned_before(witness: Witness, tree: Tree) -> None:
    """A process that died before it kept the cosignature gets another one."""
    assert ask(tree, witness).quorum_met
    assert ask(tree, witness, known=10).quorum_met


def test_200_with_an_ml_dsa_signature_beside_which_stays_on_the_note(witness: Witness, tree: Tree) -> None:
    beside = mldsa44(tree.signer.name)
    text = notes.parse(tree.checkpoint())
    both = notes.sign(text.text, [beside.at(0)], text.signatures)
    asked = ask(tree, witness, note=both)
    assert asked.quorum_met
    assert asked.note.startswith(both)


# --- 409 ---


def test_409_is_asked_once_more_from_the_size_that_it_names(witness: Witness, tree: Tree) -> None:
    assert ask(tree, witness).quorum_met
    tree.grow(7)
    assert ask(tree, witness, known=3).quorum_met, "what we remember was wrong"
    tree.grow(7)
    assert ask(tree, witness, known=0).quorum_met, "we remember nothing"


def test_409_with_a_larger_size_is_our_own_rollback(witness: Witness, tree: Tree) -> None:
    assert ask(tree, witness).quorum_met
    old = tree.fork(6, 0)
    asked = ask(old, witness)
    assert outcome(asked)[0] is Outcome.AHEAD
    with refused(Rollback, "size 10", "beyond this ledger"):
        asked.demand_no_rollback(old, old.size)
    assert [item.tree.size for item in Witnesses(policy(old, witness)).shown(old.signer.name)] == [10]


# --- 422 ---


@pytest.mark.parametrize("grow", [0, 5])
def test_422_is_shown_to_be_a_fork(witness: Witness, tree: Tree, grow: int) -> None:
    assert ask(tree, witness).quorum_met
    other = tree.fork(4, 6 + grow)
    asked = ask(other, witness, known=10)
    assert outcome(asked)[0] is Outcome.FORKED
    with refused(Rollback, "is not of this ledger's tree"):
        asked.demand_no_rollback(other, other.size)
    with refused(Rollback):
        asked.publishable(fail_open=True)


# --- 404, 403, 400, 503 ---


def test_404_for_a_log_that_it_does_not_know(witness: Witness) -> None:
    stranger = Tree(signer=signer("log.example/nobody")).grow(3)
    found, why = outcome(ask(stranger, witness))
    assert (found, why[:3]) == (Outcome.UNKNOWN_LOG, "404")


def test_403_for_another_key_of_a_log_that_it_knows(witness: Witness, tree: Tree) -> None:
    other = Ed25519Signer(tree.signer.name, Ed25519PrivateKey.from_private_bytes(seed("another key")))
    found, why = outcome(ask(Tree(list(tree.leaves), other), witness))
    assert (found, why[:3]) == (Outcome.UNKNOWN_LOG, "403")


def test_400_for_an_extension_line(witness: Witness, tree: Tree) -> None:
    """Our logs write none; the answer is a refusal, and no more is asked."""
    text = notes.parse(tree.checkpoint()).text + b"extension\n"
    found, why = outcome(ask(tree, witness, note=notes.sign(text, [tree.signer])))
    assert (found, why[:3]) == (Outcome.REFUSED, "400")


def test_503_is_no_verdict(tmp_path: Path, tree: Tree) -> None:
    import sqlite3
    from contextlib import closing

    folder = set_up(tmp_path, [(tree.signer.name, tree.signer.vkey)])
    with serving(folder) as alone:
        assert ask(tree, alone).quorum_met
        with closing(sqlite3.connect(folder / "witness.db")) as database:  # as if its clock had run ahead
            database.execute("UPDATE logs SET last_timestamp = last_timestamp + 1000")
            database.commit()
        found, why = outcome(ask(tree.grow(1), alone))
        assert (found, why[:3]) == (Outcome.UNAVAILABLE, "503")
        aics(folder, "clear-timestamp", "--origin", tree.signer.name)
        assert ask(tree, alone).quorum_met


# --- a workspace's own log ---


@pytest.fixture(scope="module")
def cosigned_ledger(bench: Bench, running: Witness, tmp_path_factory: pytest.TempPathFactory) -> StaticLog:
    """A ledger that asked the foreign witness about each append, as ``dataseal ledger publish`` wrote it."""
    key = _Key(running.vkey)
    configured = configure(bench, (key, f"http://127.0.0.1:{running.port}"))
    for start, count in ((0, 1), (1, 254), (255, 2), (257, 43)):
        log_receipts(configured, count, start)
    out = tmp_path_factory.mktemp("published") / "log"
    said = dataseal("ledger", "publish", out, "--workspace", bench.workspace.folder)
    assert said.code == 0, said
    assert "witnesses 1/1" in said.out
    log = configured.log
    with log.store.view() as view:
        leaves = [row.leaf for row in view.entries()]
    return StaticLog(out, log.origin, (log.vkey,), len(leaves), leaves)


class _Key:
    """What `configure` wants to know of a witness."""

    def __init__(self, vkey: str) -> None:
        self.vkey = vkey


def test_what_our_log_had_cosigned_and_published_is_read_by_all(
    verifier: Verifier, witness: Witness, cosigned_ledger: StaticLog
) -> None:
    # Those that know cosignatures of type 4 are given the witness's key too, and demand it.
    known = replace(cosigned_ledger, keys=(*cosigned_ledger.keys, witness.vkey))
    job = (known if verifier.name in ("aics", "scales") else cosigned_ledger).job(**known.proofs)
    [result] = verifier.run([job])
    assert result.get("error") is None
    assert result["head"] == known.head()
    assert read_all(known).size == 300


def test_the_witness_shows_the_checkpoint_that_we_published(witness: Witness, cosigned_ledger: StaticLog) -> None:
    shown = notes.parse(witness.latest(LEDGER).body)
    published = notes.parse(cosigned_ledger.read("checkpoint") or b"")
    assert shown.text == published.text
    assert set(shown.signatures) == set(published.signatures)


def test_a_copy_of_our_ledger_is_told_by_the_foreign_witness(
    bench: Bench, witness: Witness, cosigned_ledger: StaticLog, tmp_path: Path
) -> None:
    """The log goes on after the copy was made: the copy logs nothing, and ends with both checkpoints."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(bench.workspace.folder, copy)
    own = reopened(bench.workspace.folder, bench)
    log_receipts(own, 1, 1000)
    restored = reopened(copy, bench)
    with refused(Rollback, "is beyond this ledger", "size 301"):
        log_receipts(restored, 1, 2000)
    assert export(StoreResources(restored.log.store, "copy", restored.log.publishable), tmp_path / "out") == 300
