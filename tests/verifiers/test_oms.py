"""OMS signatures and time: when a certificate is judged, and by whose clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataseal.ledger.oms import envelope
from dataseal.ledger.signers.certificate import certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.signers.timestamping import TimestampClient, Timestamped
from dataseal.ledger.trust import Signer, Trust
from dataseal.ledger.x509 import CertifiedName
from dataseal.verifiers import oms
from dataseal.verifiers.verdict import Result
from support import oms as make
from support.certificates import Authority
from support.statements import signer
from support.tsa import LONG_AGO, Tsa, responder

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=365)
ROOT = Authority.root(start=LONG_AGO)
LEAF = ROOT.leaf(start=LONG_AGO, end=NOW + timedelta(days=90))
TSA = Tsa.new()
ALICE = Signer.of("alice", CertifiedName.of(ROOT.pem, "email:alice@example.org"))


@pytest.fixture(scope="module")
def stamped() -> bytes:
    """A bundle by a certificate that expires in three months, timestamped today."""
    payload = make.statement()
    with responder(TSA) as url:
        who = Timestamped(certified(KeyFileSigner(LEAF.key), LEAF.pem + ROOT.pem, now=NOW), TimestampClient(url))
        return envelope.encode(payload, who.sign_payload(payload), who.public)


def check(raw: bytes, folder: Path, trust: Trust, *, now: datetime = LATER, threshold: int = 1) -> oms.OmsCheck:
    make.write(folder / "model")
    (folder / "model.sig").write_bytes(raw)
    return oms.check(folder / "model", folder / "model.sig", trust, now=now, threshold=threshold)


def test_a_certificate_while_it_is_valid(stamped: bytes, tmp_path: Path) -> None:
    assert check(stamped, tmp_path, Trust({"alice": ALICE}), now=NOW).result is Result.PASSED


def test_an_expired_certificate_and_nobody_trusted_to_say_when(stamped: bytes, tmp_path: Path) -> None:
    found = check(stamped, tmp_path, Trust({"alice": ALICE}))
    assert found.result is Result.BLOCKED
    assert [finding.check for finding in found.findings] == ["signature.untrusted"]


def test_an_expired_certificate_with_a_timestamp_before_it_expired(stamped: bytes, tmp_path: Path) -> None:
    found = check(stamped, tmp_path, Trust({"alice": ALICE}, authorities={"clock": TSA.authority}))
    assert found.result is Result.PASSED
    assert found.signed[0].names == ("alice",)


def test_an_expired_certificate_with_a_timestamp_of_an_unknown_authority(stamped: bytes, tmp_path: Path) -> None:
    other = Tsa.new("another")
    assert check(stamped, tmp_path, Trust({"alice": ALICE}, authorities={"clock": other.authority})).result is (
        Result.BLOCKED
    )


def test_one_persons_key_and_name_do_not_make_two(stamped: bytes, tmp_path: Path) -> None:
    key = KeyFileSigner(LEAF.key)
    trust = Trust({"alice": ALICE, "al": Signer.of("al", key.public)})
    found = check(make.bundle(make.statement(), key, key), tmp_path, trust, threshold=2, now=NOW)
    assert [finding.check for finding in found.findings] == ["signature.threshold"]
    assert found.result is Result.BLOCKED


def test_two_persons_make_two(tmp_path: Path) -> None:
    amy, bob = signer("amy"), signer("bob")
    trust = Trust({"amy": Signer.of("amy", amy.public), "bob": Signer.of("bob", bob.public)})
    assert check(make.bundle(make.statement(), amy, bob), tmp_path, trust, threshold=2).result is Result.PASSED


def test_nothing_compared_is_no_pass() -> None:
    assert oms.OmsCheck("model").result is Result.BLOCKED
