"""ML-DSA-44: tlog-scales verifies our log's and our witness's; who does not know it still reads the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.tlog import note as notes
from foreign.logs import ORIGIN, SIGNER, StaticLog, mldsa44, text, write_log
from foreign.tools import Verifier
from foreign.tools import verifier as find_verifier
from support.static_log import write

SIZE = 300


@pytest.fixture
def both(tmp_path: Path) -> StaticLog:
    """A log with an Ed25519 signature, an ML-DSA-44 one that states no time, and an ML-DSA-44 witness's."""
    log, witness = mldsa44(ORIGIN), mldsa44("witness.example/pq")
    published = write_log(tmp_path / "log", SIZE, signers=[SIGNER, log.at(0)])
    opened = notes.parse(published.read(CHECKPOINT) or b"")
    write(published.folder, CHECKPOINT, notes.sign(opened.text, [witness.at(1767225600)], opened.signatures))
    return published


def test_signatures_of_unknown_types_are_ignored(verifier: Verifier, both: StaticLog) -> None:
    proofs = both.proofs
    [result] = verifier.run([both.job(**proofs)])
    assert result.get("error") is None
    assert result["head"] == both.head()


@pytest.mark.parametrize("name", [ORIGIN, "witness.example/pq"])
def test_our_ml_dsa_signatures_are_verified(both: StaticLog, name: str, request: pytest.FixtureRequest) -> None:
    scales = find_verifier("scales", request)
    keys = [mldsa44(name).vkey]
    genuine = both.read(CHECKPOINT) or b""
    [line] = notes.open_note(genuine, [mldsa44(name).verifier]).verified
    at = genuine.index(line.encode()) + len(line.encode()) // 2
    altered = genuine[:at] + (b"A" if genuine[at : at + 1] != b"A" else b"B") + genuine[at + 1 :]
    jobs = [both.job(keys=keys), both.job("notes", keys=keys, notes=[text(genuine), text(altered)])]
    read, opened = scales.run(jobs)
    assert read["head"] == both.head()
    assert opened["verdicts"][0] == {"head": both.head()}
    assert "InvalidSignature" in opened["verdicts"][1]["error"]
