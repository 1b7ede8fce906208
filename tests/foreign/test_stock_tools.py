"""Generic DSSE and in-toto tools check a release's bundles: the statement's subject is a real file, the shard table."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.signers import keyfile
from dataseal.ledger.statement import PAYLOAD_TYPE, RELEASE
from foreign.tools import TIMEOUT
from support.datasets import flip, run, write
from support.statements import b64, spoil


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace ``ws``, and a dataset ``data`` that it signed as acme/x@1.0.0."""
    monkeypatch.chdir(tmp_path)
    run("init", "ws")
    write(tmp_path / "data" / "a.txt", b"one")
    run("sign", "data", "--dataset", "acme/x", "--release", "1.0.0", "--workspace", "ws")
    return tmp_path


def job(sealed: Path, raw: bytes, key: bytes | None = None) -> dict[str, Any]:
    """What @sigstore/verify is asked about a bundle by the publisher's key."""
    return {
        "bundle": raw.decode(),
        "keys": {bundles.parse(raw).hint: (key or (sealed / "ws/keys/publisher.pub").read_bytes()).decode()},
        "file": str(sealed / "data/.dataseal/shards.parquet"),
    }


def bundle(sealed: Path) -> bytes:
    return (sealed / "data/.dataseal/release/1.sigstore.json").read_bytes()


def test_sigstore_verify_checks_a_key_bundle_and_its_subject(sealed: Path, sigstore_js: Any) -> None:
    [result] = sigstore_js(job(sealed, bundle(sealed)))
    assert result == {"predicateType": RELEASE, "subject": "acme/x@1.0.0"}


def test_sigstore_verify_checks_every_history_bundle(sealed: Path, sigstore_js: Any) -> None:
    write(sealed / "data" / "b.txt", b"two")
    run("record", "append", "acme/x@head", "data", "--reason", "more", "--workspace", "ws")
    run("sign", "data", "--dataset", "acme/x", "--release", "1.1.0", "--workspace", "ws")
    history = sorted((sealed / "data/.dataseal/history").glob("*.sigstore.json"))
    assert len(history) == 2
    results = sigstore_js(*[job(sealed, path.read_bytes()) for path in history])
    # Another state's table is no longer there; the modification led to the one that is.
    assert ["error" in result for result in results] == [True, False]
    assert "no subject" in results[0]["error"]


@pytest.mark.parametrize("scheme", ["ecdsa-p256", "ed25519"])  # of P-384 it knows SHA-256 only
def test_sigstore_verify_checks_every_kind_of_key_that_it_knows(scheme: str, sealed: Path, sigstore_js: Any) -> None:
    key = keyfile.generate(scheme)
    payload = bundles.parse(bundle(sealed)).payload
    raw = bundles.encode(payload, key.sign(bundles.pae(PAYLOAD_TYPE, payload)), key.public)
    [result] = sigstore_js(job(sealed, raw, key.public.pem()))
    assert result == {"predicateType": RELEASE, "subject": "acme/x@1.0.0"}


def test_sigstore_verify_refuses_what_we_refuse(sealed: Path, sigstore_js: Any) -> None:
    raw = bundle(sealed)
    parsed = bundles.parse(raw)
    other = parsed.payload.replace(b"acme/x@1.0.0", b"acme/y@1.0.0")
    stranger = keyfile.generate().public.pem()
    altered = spoil(raw, "dsseEnvelope", "payload", to=b64(other))
    typed = spoil(raw, "dsseEnvelope", "payloadType", to="application/json")
    results = sigstore_js(job(sealed, altered), job(sealed, typed), job(sealed, raw, stranger))
    assert all("signature verification failed" in result["error"] for result in results), results


def test_a_changed_shard_table_is_no_subject(sealed: Path, sigstore_js: Any) -> None:
    flip(sealed / "data/.dataseal/shards.parquet", 100)
    [result] = sigstore_js(job(sealed, bundle(sealed)))
    assert "no subject" in result["error"]


def test_sigstore_verify_reads_the_oms_bundle(sealed: Path, sigstore_js: Any) -> None:
    raw = (sealed / "data/.dataseal/oms.sigstore.json").read_bytes()
    [result] = sigstore_js(job(sealed, raw))
    assert "no subject" in result["error"]  # the signature holds; its subject is a digest of digests


def test_openssl_checks_the_signature_itself(sealed: Path, tmp_path: Path) -> None:
    parsed = bundles.parse(bundle(sealed))
    (tmp_path / "message").write_bytes(bundles.pae(parsed.payload_type, parsed.payload))
    (tmp_path / "signature").write_bytes(parsed.signature)
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", sealed / "ws/keys/publisher.pub", "-signature",
         tmp_path / "signature", tmp_path / "message"],
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert done.stdout == "Verified OK\n", done
