"""Keys with certificate chains: what is signed, and what a chain file must be."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.errors import Refused, SignatureInvalid, UsageError
from dataseal.ledger.log import Log
from dataseal.ledger.signers.certificate import CertificateSigner, certified
from dataseal.ledger.signers.keyfile import KeyFileSigner
from dataseal.ledger.timestamp import trusted_times
from dataseal.ledger.verify import verify_bundle
from dataseal.ledger.x509 import CertifiedName
from support import statements as make
from support.certificates import START, YEAR, Authority, Issued
from support.errors import refused
from support.tsa import Tsa
from support.workspaces import Bench, make_bench, make_dataset

PAYLOAD = make.release_payload()
NOW = START + timedelta(days=100)
FOREVER = START + 50 * YEAR
ROOT = Authority.root(end=FOREVER)
INTERMEDIATE = ROOT.intermediate(end=FOREVER)
LEAF = INTERMEDIATE.leaf(end=FOREVER)
ALICE = CertifiedName.of(ROOT.pem, "email:alice@example.org")


def signer(leaf: Issued = LEAF, *issuers: Issued) -> CertificateSigner:
    chain = leaf.pem + b"".join(issuer.pem for issuer in issuers or (INTERMEDIATE, ROOT))
    return certified(KeyFileSigner(leaf.key), chain, now=NOW, where="chain.pem")


def listing(bench: Bench, *credentials: CertifiedName) -> Log:
    """The bench's log, which admits these credentials."""
    log = bench.log
    return Log(
        log.store,
        origin=bench.workspace.config.ledger.origin,
        signers=log._signers,
        admission=Admission([Rule(("*",), ("release",), credentials)]),
        clock=bench.clock,
    )


def test_the_bundle_carries_the_chain_without_the_root() -> None:
    made = signer().sign_payload(PAYLOAD)
    assert made.material == bundles.Chain((LEAF.der, INTERMEDIATE.der))
    raw = bundles.encode(PAYLOAD, made.signature, made.material)
    assert verify_bundle(raw, [ALICE], now=NOW).signer.label == "email:alice@example.org"
    assert verify_bundle(raw, [signer().credential], now=NOW)


def test_a_leaf_under_the_root_travels_alone() -> None:
    made = signer(ROOT.leaf(), ROOT).sign_payload(PAYLOAD)
    assert isinstance(made.material, bundles.Chain)
    assert len(made.material.ders) == 1


def test_the_walk_signs_and_logs_with_a_chain(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "workspace")
    log = listing(bench, ALICE)
    signed = bench.sign(make_dataset(tmp_path / "data"), log=log, signer=signer())
    bundle = bundles.parse(signed.recorded.bundle)
    assert bundle.leaf == LEAF.der
    assert signed.recorded.logged.verified.signer.scheme == "x509"


def test_a_log_that_lists_another_name_refuses(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "workspace")
    log = listing(bench, CertifiedName.of(ROOT.pem, "email:bob@example.org"))
    with pytest.raises((Refused, SignatureInvalid)):
        bench.sign(make_dataset(tmp_path / "data"), log=log, signer=signer())


def test_a_timestamped_signature_outlives_its_certificate() -> None:
    tsa = Tsa.new()
    made = signer(INTERMEDIATE.leaf(end=FOREVER)).sign_payload(PAYLOAD)
    raw = bundles.encode(PAYLOAD, made.signature, made.material, [tsa.stamp(made.signature)])
    bundle = bundles.parse(raw)
    later = FOREVER + YEAR
    with refused(SignatureInvalid, "no valid path"):
        verify_bundle(raw, [ALICE], now=later)
    times = trusted_times(bundle.timestamps, bundle.signature, [tsa.authority])
    assert verify_bundle(raw, [ALICE], times=times, now=later)


# --- what a chain file must be ---


def test_a_chain_of_another_key() -> None:
    with refused(UsageError, "another key", "chain.pem"):
        certified(KeyFileSigner(ROOT.leaf().key), LEAF.pem + INTERMEDIATE.pem, now=NOW, where="chain.pem")


def test_a_leaf_alone_has_no_issuer() -> None:
    with refused(UsageError, "alone", "append its issuers"):
        certified(KeyFileSigner(LEAF.key), LEAF.pem, now=NOW)


def test_issuers_that_are_others() -> None:
    with refused(UsageError, "no valid path"):
        signer(LEAF, Authority.root(), Authority.root())


def test_an_expired_certificate_signs_nothing() -> None:
    with refused(UsageError, "no valid path", "renew"):
        signer(INTERMEDIATE.leaf(end=START + timedelta(days=1)))


def test_a_certificate_for_another_purpose_signs_nothing() -> None:
    with refused(UsageError, "codeSigning"):
        signer(INTERMEDIATE.leaf(purposes=[]))


def test_an_rsa_certificate_signs_nothing() -> None:
    leaf = INTERMEDIATE.leaf(kind="rsa")
    with refused(UsageError, "RSA"):
        certified(KeyFileSigner(LEAF.key), leaf.pem + INTERMEDIATE.pem, now=NOW)


@pytest.mark.parametrize("pem", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_certificates(pem: bytes) -> None:
    with refused(UsageError, "chain.pem"):
        certified(KeyFileSigner(LEAF.key), pem, now=NOW, where="chain.pem")
