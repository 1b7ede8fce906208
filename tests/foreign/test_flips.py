"""One flipped bit in any published tile, bundle or checkpoint is found: by us and by every foreign verifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dataseal.ledger.errors import DatasealError
from dataseal.ledger.resources import CHECKPOINT
from dataseal.ledger.tlog.checkpoint import open_checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from foreign.logs import LARGEST, StaticLog, flipped, flips, read_all, served_proofs, text
from foreign.tools import READERS, Verifier

KINDS = {
    "full tile of leaves": "tile/0/100",
    "partial tile of leaves": "tile/0/273.p/112",
    "full tile of level 1": "tile/1/000",
    "partial tile of level 1": "tile/1/001.p/17",
    "top tile": "tile/2/000.p/1",
    "full bundle": "tile/entries/100",
    "partial bundle": "tile/entries/273.p/112",
}
SAMPLES = 2


def found_by_us(log: StaticLog) -> bool:
    try:
        read_all(log)
    except DatasealError:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_of_a_large_log_is_found(
    verifier: Verifier, published_log: Callable[[int], StaticLog], kind: str, tmp_path: Path
) -> None:
    log = published_log(LARGEST)
    jobs, sampled = [], list(flips(log, KINDS[kind], SAMPLES))
    for number, flip in enumerate(sampled):
        altered = flipped(log, flip, tmp_path / str(number))
        assert found_by_us(altered), flip
        # A verifier that reads no tiles judges what a careless client makes of them; the rest read them themselves.
        proofs = {} if verifier.name in READERS else served_proofs(altered, flip)
        jobs.append(altered.job(**proofs))
        if proofs:
            jobs.append(log.job(**served_proofs(log, flip)))
    results = verifier.run(jobs)
    if verifier.name not in READERS:
        controls, results = results[1::2], results[::2]
        assert not [result["error"] for result in controls if "error" in result]
    assert [str(flip) for flip, result in zip(sampled, results, strict=True) if "error" not in result] == []


def test_a_flipped_bit_anywhere_in_a_small_log_is_found_by_us(
    published_log: Callable[[int], StaticLog], tmp_path: Path
) -> None:
    log = published_log(257)
    missed = [
        flip
        for number, path in enumerate(log.paths())
        for flip in flips(log, path, 40)
        if not found_by_us(flipped(log, flip, tmp_path / f"{number}-{flip.at}-{flip.bit}"))
    ]
    assert missed == []


def test_a_flipped_bit_anywhere_in_a_small_log_is_found_by_readers(
    reader: Verifier, published_log: Callable[[int], StaticLog], tmp_path: Path
) -> None:
    log = published_log(257)
    sampled = [flip for path in log.paths() if path != CHECKPOINT for flip in flips(log, path, 10)]
    results = reader.run([flipped(log, flip, tmp_path / str(n)).job() for n, flip in enumerate(sampled)])
    assert [str(flip) for flip, result in zip(sampled, results, strict=True) if "error" not in result] == []


# Every bit of a checkpoint. Some verifiers decode base64 or split lines loosely, so that another spelling of the same
# signed tree head passes; we refuse that too. What none may do is to accept another tree head.
SPELLINGS = {
    # Go's base64 ignores the pad bits of the last digit ("E=" for "G=").
    "sumdb": 1,
    # Python's b64decode does too, and str.splitlines takes U+000B for a line's end; after the last line, whatever
    # splits or decodes as nothing.
    "scales": 12,
}


def test_every_flipped_bit_of_a_checkpoint_is_found(
    verifier: Verifier, published_log: Callable[[int], StaticLog]
) -> None:
    log = published_log(LARGEST)
    genuine = log.read(CHECKPOINT) or b""
    altered = [_flip(genuine, at, bit) for at in range(len(genuine)) for bit in range(8)]
    [result] = verifier.run([log.job("notes", notes=[text(note) for note in [*altered, genuine]])])
    *verdicts, control = result["verdicts"]
    assert control == {"head": log.head()}
    accepted = [verdict for verdict in verdicts if "error" not in verdict]
    assert all(verdict["head"] == log.head() for verdict in accepted)
    assert len(accepted) <= SPELLINGS.get(verifier.name, 0)


def test_every_flipped_bit_of_a_checkpoint_is_found_by_us(published_log: Callable[[int], StaticLog]) -> None:
    log = published_log(600)
    genuine = log.read(CHECKPOINT) or b""
    keys = [parse_vkey(key) for key in log.keys]
    for at in range(len(genuine)):
        for bit in range(8):
            with pytest.raises(DatasealError):
                open_checkpoint(_flip(genuine, at, bit), keys, origin=log.origin)


def _flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
