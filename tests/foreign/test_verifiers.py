"""Foreign verifiers read our published log unmodified: every tile, every entry, proofs and checkpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataseal.ledger.tlog.note import Ed25519Signer
from foreign.logs import SIZES, StaticLog, read_all, seed
from foreign.tools import Verifier


@pytest.mark.parametrize("size", SIZES)
def test_a_log_of_any_size_is_read(verifier: Verifier, static_log: Callable[[int], StaticLog], size: int) -> None:
    log = static_log(size)
    proofs = log.proofs
    [result] = verifier.run([log.job(**proofs)])
    assert result.get("error") is None
    assert result["head"] == log.head()
    assert result["checked"] >= len(proofs["inclusions"]) + len(proofs["consistency"])
    assert read_all(log).size == size


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
