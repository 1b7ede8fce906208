"""A foreign witness, aics-witness, live on loopback: it cosigns our checkpoints and gives all its status codes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.tlog import merkle
from dataseal.ledger.tlog import note as notes
from dataseal.ledger.tlog.checkpoint import Checkpoint, open_checkpoint
from dataseal.ledger.tlog.cosignature import verify_cosignatures
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.note import Ed25519Signer
from dataseal.ledger.tlog.policy import parse_policy
from dataseal.ledger.tlog.text import encode_base64
from foreign.aics_witness import NAME, Answer, Witness, aics, serving, set_up
from foreign.logs import StaticLog, all_leaves, append_releases, mldsa44, publish, read_all, seed
from foreign.tools import PROPERTY, Verifier
from support.static_log import write
from support.workspaces import Bench, make_bench

LEDGER = "log.example/cosigned"

# One witness serves all tests that leave it as it is, but for the logs that it has seen: each test takes a new one.

_SIGNERS = [Ed25519Signer(f"log.example/w{n}", Ed25519PrivateKey.from_private_bytes(seed(f"w{n}"))) for n in range(20)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A ledger of our own."""
    return make_bench(tmp_path_factory.mktemp("bench") / "workspace", LEDGER)


@pytest.fixture(scope="module")
def running(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    known = [(LEDGER, bench.log.vkey), *((signer.name, signer.vkey) for signer in _SIGNERS)]
    with serving(set_up(tmp_path_factory.mktemp("witness"), known)) as witness:
        yield witness


@pytest.fixture
def witness(running: Witness, request: pytest.FixtureRequest) -> Witness:
    """The witness; that it ran is known once the test passes."""
    request.node.user_properties.append((PROPERTY, f"witness aics: aics-witness {running.version}"))
    return running


@pytest.fixture(scope="module")
def unused() -> Iterator[Ed25519Signer]:
    """Signers of logs that the witness knows and has not seen."""
    return iter(_SIGNERS)


@pytest.fixture
def signer(unused: Iterator[Ed25519Signer]) -> Ed25519Signer:
    """The signer of a log that the witness knows and has not seen."""
    return next(unused)


def checkpoint(signer: Ed25519Signer, size: int, root: bytes | None = None) -> bytes:
    """A checkpoint over the first entries of the static log; with ``root``, a forked one."""
    head = Checkpoint(signer.name, size, root or merkle.root_from_leaves(all_leaves()[:size]))
    return notes.sign(head.encode(), [signer])


def proof(old: int, new: int) -> list[bytes]:
    """Our consistency proof between two sizes of the static log."""
    return merkle.consistency_proof(all_leaves()[:new], old)


def cosigned(note: bytes, answer: Answer, witness: Witness) -> bytes:
    """The note with the witness's cosignature, which our code verifies first."""
    assert answer.status == 200, answer
    unsigned = notes.parse(note)
    lines = notes.parse_signatures(answer.body)
    [verified] = verify_cosignatures(unsigned.text, lines, [parse_vkey(witness.vkey)])
    assert verified.name == NAME
    assert abs(verified.timestamp - time.time()) < 60
    return notes.encode(unsigned.text, [*unsigned.signatures, *lines])


# --- 200 ---


def test_a_growing_log_is_cosigned_step_by_step(witness: Witness, signer: Ed25519Signer) -> None:
    policy = parse_policy(f"log {signer.vkey}\nwitness w {witness.vkey}\nquorum w\n")
    before = 0
    for size in (1, 2, 255, 256, 257, 65_536, 65_536, 70_000):
        note = checkpoint(signer, size)
        hashes = proof(before, size) if 0 < before < size else []
        checked = policy.check(cosigned(note, witness.add(before, hashes, note), witness))
        assert checked.quorum_met
        assert checked.checkpoint.size == size
        before = size


def test_the_monitoring_endpoint_serves_what_was_cosigned(witness: Witness, signer: Ed25519Signer) -> None:
    note = checkpoint(signer, 300)
    ours = cosigned(note, witness.add(0, [], note), witness)
    answer = witness.latest(signer.name)
    assert answer.status == 200
    assert answer.body == ours
    cosigners = [parse_vkey(witness.vkey)]
    opened = open_checkpoint(answer.body, [signer.verifier], origin=signer.name, cosigners=cosigners)
    assert [signature.name for signature in opened.cosignatures] == [NAME]
    assert witness.request("GET", "/healthz").status == 200


def test_a_checkpoint_with_an_ml_dsa_signature_beside_is_cosigned(witness: Witness, signer: Ed25519Signer) -> None:
    note = notes.parse(checkpoint(signer, 300))
    both = notes.sign(note.text, [mldsa44(signer.name).at(0)], note.signatures)
    cosigned(both, witness.add(0, [], both), witness)


@pytest.fixture(scope="module")
def cosigned_ledger(bench: Bench, running: Witness, tmp_path_factory: pytest.TempPathFactory) -> StaticLog:
    """A ledger that grew under the witness's eyes, published with its cosigned checkpoint."""
    append_releases(bench, 1, 3)
    first = bench.log.checkpoint()
    cosigned(first, running.add(0, [], first), running)
    append_releases(bench, 4, 2)
    second = bench.log.checkpoint()
    with bench.log.store.view() as view:
        hashes = merkle.prove_consistency(view, old=3, new=5)
    note = cosigned(second, running.add(3, hashes, second), running)
    log = publish(bench, tmp_path_factory.mktemp("published"))
    write(log.folder, CHECKPOINT, note)
    return log


def test_a_ledgers_checkpoint_is_cosigned_and_read_by_all(
    verifier: Verifier, witness: Witness, cosigned_ledger: StaticLog
) -> None:
    # Those that know cosignatures of type 4 are given the witness's key too; the others ignore the line.
    both = (*cosigned_ledger.keys, witness.vkey)
    known = replace(cosigned_ledger, keys=both)
    [result] = verifier.run([(known if verifier.name in ("aics", "scales") else cosigned_ledger).job(**known.proofs)])
    assert result.get("error") is None
    assert result["head"] == known.head()
    assert read_all(known).size == 5


# --- refusals ---


def test_400_for_what_is_no_request(witness: Witness, signer: Ed25519Signer) -> None:
    good = checkpoint(signer, 10)
    bodies = {
        "nothing": b"",
        "no old size": b"\n" + good,
        "leading zero": b"old 00\n\n" + good,
        "no empty line": b"old 0\n" + good.partition(b"\n\n")[0],
        "not base64": b"old 0\n****\n\n" + good,
        "64 proof lines": b"old 0\n" + (encode_base64(bytes(32)).encode() + b"\n") * 64 + b"\n" + good,
        "old beyond new": b"old 11\n\n" + good,
        "no checkpoint": b"old 0\n\n",
    }
    answers = {name: witness.request("POST", "/add-checkpoint", body).status for name, body in bodies.items()}
    assert answers == dict.fromkeys(bodies, 400)


def test_400_for_extension_lines_which_we_never_write(witness: Witness, signer: Ed25519Signer) -> None:
    text = notes.parse(checkpoint(signer, 10)).text + b"extension\n"
    assert witness.add(0, [], notes.sign(text, [signer])).status == 400


def test_403_without_a_valid_signature_by_the_logs_key(witness: Witness, signer: Ed25519Signer) -> None:
    stranger = Ed25519Signer(signer.name, Ed25519PrivateKey.from_private_bytes(seed("stranger")))
    assert witness.add(0, [], checkpoint(stranger, 10)).status == 403
    text, others = notes.parse(checkpoint(signer, 11)).text, notes.parse(checkpoint(signer, 10)).signatures
    assert witness.add(0, [], notes.encode(text, others)).status == 403


def test_404_for_an_unknown_log_and_for_one_never_cosigned(witness: Witness, signer: Ed25519Signer) -> None:
    unknown = Ed25519Signer("log.example/unknown", signer.private_key)
    assert witness.add(0, [], checkpoint(unknown, 10)).status == 404
    assert witness.latest(signer.name).status == 404
    assert witness.request("POST", "/other").status == 404


def test_409_names_the_size_that_it_has_even_after_a_restart(tmp_path: Path, signer: Ed25519Signer) -> None:
    folder = set_up(tmp_path, [(signer.name, signer.vkey)])
    with serving(folder) as witness:
        assert witness.add(0, [], checkpoint(signer, 256)).status == 200
    with serving(folder) as witness:
        answer = witness.add(0, [], checkpoint(signer, 257))
        assert answer == Answer(409, b"256\n", "text/x.tlog.size")
        assert witness.add(int(answer.body), proof(256, 257), checkpoint(signer, 257)).status == 200


def test_422_for_what_is_not_consistent_and_it_keeps_the_evidence(witness: Witness, signer: Ed25519Signer) -> None:
    other = bytes(32)
    assert witness.add(0, [], checkpoint(signer, 0, other)).status == 422
    assert witness.add(0, [other], checkpoint(signer, 256)).status == 422
    assert witness.add(0, [], checkpoint(signer, 256)).status == 200
    refused = (
        ([other, *proof(256, 300)[1:]], checkpoint(signer, 300)),
        (proof(256, 300), checkpoint(signer, 300, other)),
        ([], checkpoint(signer, 256, other)),
        ([other], checkpoint(signer, 256)),
    )
    assert [witness.add(256, *request).status for request in refused] == [422] * len(refused)
    assert witness.latest(signer.name).body.startswith(checkpoint(signer, 256))
    assert aics(witness.folder, "evidence", "--origin", signer.name).count('"reason"') == 2 + len(refused)


def test_405_411_413_and_501_for_what_http_can_get_wrong(witness: Witness) -> None:
    assert witness.request("GET", "/add-checkpoint").status == 405
    assert witness.request("POST", "/add-checkpoint", headers={}).status == 411
    assert witness.request("POST", "/add-checkpoint", headers={"Content-Length": "262145"}).status == 413
    assert witness.request("POST", "/add-checkpoint", headers={"Transfer-Encoding": "gzip"}).status == 501


def test_503_while_its_clock_is_behind_its_last_cosignature(witness: Witness, signer: Ed25519Signer) -> None:
    assert witness.add(0, [], checkpoint(signer, 10)).status == 200
    # As if its clock had run ahead when it cosigned.
    with closing(sqlite3.connect(witness.folder / "witness.db")) as database:
        database.execute("UPDATE logs SET last_timestamp = last_timestamp + 1000 WHERE origin = ?", [signer.name])
        database.commit()
    assert witness.add(10, proof(10, 11), checkpoint(signer, 11)).status == 503
    aics(witness.folder, "clear-timestamp", "--origin", signer.name)
    assert witness.add(10, proof(10, 11), checkpoint(signer, 11)).status == 200
