"""Foreign verifiers read what ``dataseal ledger publish`` writes: every tile, every entry, proofs and checkpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.tlog.note import Ed25519Signer
from foreign.logs import SIZES, StaticLog, read_all, seed
from foreign.tools import Verifier


@pytest.mark.parametrize("size", SIZES)
def test_a_log_of_any_size_is_read(verifier: Verifier, published_log: Callable[[int], StaticLog], size: int) -> None:
    log = published_log(size)
    proofs = log.proofs
    [result] = verifier.run([log.job(**proofs)])
    assert result.get("error") is None
    assert result["head"] == log.head()
    assert result["checked"] >= len(proofs["inclusions"]) + len(proofs["consistency"])
    assert read_all(log).size == size


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_what_is_published_is_what_a_second_writer_writes(
    published_log: Callable[[int], StaticLog], static_log: Callable[[int], StaticLog], size: int
) -> None:
    """From the pure formats alone, at once: every resource of the tree is the same, byte by byte."""
    grown, written = published_log(size), static_log(size)
    assert {path: grown.read(path) for path in grown.paths()} == {path: written.read(path) for path in grown.paths()}


def test_a_log_of_signed_statements_is_read(verifier: Verifier, signed_log: StaticLog) -> None:
    [result] = verifier.run([signed_log.job(**signed_log.proofs)])
    assert result.get("error") is None
    assert result["head"] == signed_log.head()
    assert signed_log.size == 300


def test_another_key_of_the_same_name_opens_nothing(verifier: Verifier, signed_log: StaticLog) -> None:
    stranger = Ed25519Signer(signed_log.origin, Ed25519PrivateKey.from_private_bytes(seed("stranger")))
    [result] = verifier.run([signed_log.job(keys=[stranger.vkey])])
    assert result["error"]


def test_another_origin_is_refused(verifier: Verifier, signed_log: StaticLog) -> None:
    [result] = verifier.run([signed_log.job(origin="log.example/other")])
    assert "origin" in result["error"]
