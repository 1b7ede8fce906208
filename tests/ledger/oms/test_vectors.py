"""Bundles that released versions of the reference implementation made (``tests/vectors/oms/generate_oms*.py``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataseal.ledger.credential import TrustedTime
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import SignatureInvalid
from dataseal.ledger.keyless import SigstoreIdentity, SigstoreRoot
from dataseal.ledger.oms import files as edge
from dataseal.ledger.oms.envelope import parse, recognise
from dataseal.ledger.oms.statement import read
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.x509 import CertifiedName
from support.errors import refused
from support.oms import VECTORS, vector_tree

CASES = sorted(path.name.removesuffix(".json") for path in VECTORS.glob("*-*.json"))
KEYS = [PublicKey.from_pem((VECTORS / "keys" / f"{name}.pub").read_bytes()) for name in ("p256", "p384")]
ROOT = (VECTORS / "keys" / "root.crt").read_bytes()
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def test_the_vectors_are_there() -> None:
    assert {name.split("-")[0] for name in CASES} == {"0.2.0", "0.3.1", "1.0.0", "1.0.1", "1.1.1"}
    assert len(CASES) == 36


@pytest.mark.parametrize("case", [case for case in CASES if "certificate" not in case and "sigstore" not in case])
def test_a_bundle_by_a_key_and_the_files_that_it_signs(case: str, tmp_path: Path) -> None:
    parsed = parse((VECTORS / f"{case}.json").read_bytes())
    recognise(parsed, KEYS)
    signature = read(parsed[0].payload)
    tree = vector_tree(tmp_path)
    files, problems = edge.walk(tree / "weights.bin" if "single-file" in case else tree)
    assert not problems
    made = dict(
        zip((f.path for f in files), edge.digests(files, signature.algorithm, signature.shard_size), strict=True)
    )
    assert {path: file.digests for path, file in signature.files.items()} == {p: made[p] for p in signature.files}
    unsigned = set(made) - set(signature.files)
    if case.startswith("1.1"):
        assert all(signature.hides(path) for path in unsigned)
        assert ".gitattributes" in unsigned or "single-file" in case
    else:  # they do not say what they left out, and sign what they mean to ignore
        assert signature.ignored is None
        assert unsigned == ({"data/a-b.txt", "data/a/b.txt", "data/é.txt"} if "ignore" in case else set())


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("certificate")])
def test_a_bundle_by_a_certified_name(case: str) -> None:
    parsed = parse((VECTORS / f"{case}.json").read_bytes())
    [found] = recognise(parsed, [CertifiedName.of(ROOT, "email:models@example.com")], now=NOW)
    assert found.scheme == "x509"


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("certificate-expired")])
def test_an_expired_certificate(case: str) -> None:
    parsed = parse((VECTORS / f"{case}.json").read_bytes())
    with refused(SignatureInvalid, "no trusted key"):
        recognise(parsed, [CertifiedName.of(ROOT, "email:models@example.com")], now=NOW)


def test_an_expired_certificate_with_a_trusted_time_before_it_expired() -> None:
    parsed = parse((VECTORS / "1.1.1-certificate-expired.json").read_bytes())
    then = TrustedTime(datetime(2026, 1, 1, 12, tzinfo=UTC), "rfc3161", "a test")
    assert recognise(parsed, [CertifiedName.of(ROOT, "email:models@example.com")], [then], now=NOW)


def test_another_certified_name() -> None:
    parsed = parse((VECTORS / "1.1.1-certificate.json").read_bytes())
    with refused(SignatureInvalid):
        recognise(parsed, [CertifiedName.of(ROOT, "email:mallory@example.com")], now=NOW)


def identity(name: str = "alice@example.org", issuer: str | None = None) -> SigstoreIdentity:
    root = (VECTORS / "keys" / "sigstore-root.json").read_bytes()
    known = (VECTORS / "keys" / "sigstore-issuer.txt").read_text(encoding="utf-8").strip()
    return SigstoreIdentity.of(name, issuer or known, SigstoreRoot.pinned(root, sha256(root).hex()))


@pytest.mark.parametrize("version", ["0.3.1", "1.0.1", "1.1.1"])
def test_a_bundle_by_a_sigstore_identity_long_after_its_certificate_expired(version: str) -> None:
    parsed = parse((VECTORS / f"{version}-sigstore.json").read_bytes())
    [found] = recognise(parsed, [identity()], now=NOW + timedelta(days=3650))
    assert found.scheme == "sigstore"
    assert len(read(parsed[0].payload).files) == (5 if version == "1.1.1" else 6)


def test_another_sigstore_identity_or_issuer() -> None:
    parsed = parse((VECTORS / "1.1.1-sigstore.json").read_bytes())
    for other in (identity("bob@example.org"), identity(issuer="https://accounts.example.com")):
        with refused(SignatureInvalid, "no trusted key"):
            recognise(parsed, [other], now=NOW)
