"""A stock verifier in another language checks keyless bundles, and so seconds the instance that our tests sign with."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.digest import sha256
from dataseal.ledger.errors import SignatureInvalid
from dataseal.ledger.keyless import SigstoreIdentity
from dataseal.ledger.log import Log
from dataseal.ledger.signers.keyless import KeylessSigner, identity_token, instance
from dataseal.ledger.statement import RELEASE
from dataseal.ledger.trustedroot import SigstoreRoot
from dataseal.ledger.verify import verify_bundle
from foreign.tools import HERE, TOOLS, stock
from support import statements as make
from support.errors import refused
from support.sigstore import Lie, Sigstore, running
from support.sigstore.forge import ALICE, Forger
from support.sigstore.keys import START, b64
from support.sigstore.oidc import Provider
from support.workspaces import DATASET, make_bench, make_dataset


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    with running() as made:
        yield made


@pytest.fixture
def release(sigstore: Sigstore, tmp_path: Path) -> Path:
    """A dataset that Alice's identity signed, by the real client."""
    data = sigstore.trust_config()
    trusted = SigstoreIdentity.of(ALICE, sigstore.url, SigstoreRoot.pinned(data, sha256(data).hex()))
    bench = make_bench(tmp_path / "workspace")
    rules = Admission([Rule(("*",), ("release",), (trusted,))])
    log = Log(bench.log.store, origin=bench.log.origin, signers=bench.log._signers, admission=rules, clock=bench.clock)
    config = instance(data)
    signer = KeylessSigner(config, identity_token(config, given=sigstore.provider.token(ALICE)))
    folder = make_dataset(tmp_path / "data")
    bench.sign(folder, log=log, signer=signer)
    return folder


def bundle(release: Path) -> bytes:
    return (release / ".dataseal/release/1.sigstore.json").read_bytes()


def job(sigstore: Sigstore, release: Path, raw: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "bundle": raw.decode(), "keys": {}, "root": sigstore.trusted_root(), "identity": ALICE, "issuer": sigstore.url,
        "file": str(release / ".dataseal/shards.parquet"),
    } | changes  # fmt: skip


def test_a_keyless_release_and_its_subject(sigstore: Sigstore, release: Path, sigstore_js: Any) -> None:
    [result] = sigstore_js(job(sigstore, release, bundle(release)))
    assert result == {"predicateType": RELEASE, "subject": f"{DATASET}@1.0.0"}


def test_another_identity_and_another_issuer_are_refused(sigstore: Sigstore, release: Path, sigstore_js: Any) -> None:
    raw = bundle(release)
    results = sigstore_js(
        job(sigstore, release, raw, identity="bob@example.org"),
        job(sigstore, release, raw, issuer="https://idp.example"),
    )
    assert all("error" in result for result in results), results


@pytest.mark.parametrize("lie", ["wrong proof", "old checkpoint", "wrong checkpoint key", "no sct", "foreign sct"])
def test_the_lies_that_we_refuse(sigstore: Sigstore, release: Path, sigstore_js: Any, lie: Lie) -> None:
    payload = bundles.parse(bundle(release)).payload
    with sigstore.lying(lie):
        raw = Forger(sigstore).bundle(payload)
    honest, lied = sigstore_js(job(sigstore, release, Forger(sigstore).bundle(payload)), job(sigstore, release, raw))
    assert "error" not in honest
    assert "error" in lied, lied


# --- an instance that others wrote ---


@pytest.fixture(scope="module")
def mocked() -> Iterator[dict[str, str]]:
    """npm's @sigstore/mock behind a web server (``node/mock.mjs``): what it says of itself."""
    installed = TOOLS / "node"
    if not (installed / "node_modules/@sigstore/mock").is_dir():
        pytest.skip(f"no @sigstore/mock in {installed}: run .ci/foreign")
    command = ["node", str(HERE / "node" / "mock.mjs"), str(installed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()
        process.wait(20)


def mock_config(mocked: dict[str, str]) -> bytes:
    """Its client trust config."""

    def log(key: str) -> dict[str, Any]:
        details = {"rawBytes": key, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": {"start": START}}
        log_id = {"keyId": b64(sha256(base64.b64decode(key)))}
        return {"baseUrl": mocked["url"], "hashAlgorithm": "SHA2_256", "publicKey": details, "logId": log_id}

    authority = {
        "subject": {"organization": "sigstore.mock", "commonName": "sigstore"},
        "certChain": {"certificates": [{"rawBytes": mocked["root"]}]},
        "validFor": {"start": START},
    }
    root = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(mocked["tlog"])],
        "ctlogs": [log(mocked["ctlog"])],
        "certificateAuthorities": [authority],
        "timestampAuthorities": [],
    }
    service = [{"url": mocked["url"], "majorApiVersion": 1, "validFor": {"start": START}, "operator": "mock"}]
    signing = {
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": service,
        "rekorTlogUrls": service,
        "rekorTlogConfig": {"selector": "ANY"},
    }
    media = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
    return json.dumps({"mediaType": media, "trustedRoot": root, "signingConfig": signing}).encode()


def test_our_signer_and_verifier_against_npms_mock(
    mocked: dict[str, str], sigstore_js: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    stock(request, mocked["version"])
    data = mock_config(mocked)
    config = instance(data)
    who = "https://github.com/acme/data/.github/workflows/release.yml@refs/tags/v1"
    issuer = "https://idp.example"
    token = identity_token(config, given=Provider(issuer).token(who))
    signed = KeylessSigner(config, token).sign_payload(make.release_payload())
    raw = bundles.encode(make.release_payload(), signed.signature, signed.material, (), signed.tlog_entries)
    root = SigstoreRoot.pinned(data, sha256(data).hex())
    verified = verify_bundle(raw, [SigstoreIdentity.of(who, issuer, root)])
    assert verified.signer.label == f"{who} ({issuer})"
    with refused(SignatureInvalid, "vouches"):
        verify_bundle(raw, [SigstoreIdentity.of(who, "https://other.example", root)])
    table = tmp_path / "table"
    table.write_bytes(b"")
    asked = {"bundle": raw.decode(), "keys": {}, "root": root.document(), "identity": who, "issuer": issuer}
    [result] = sigstore_js(asked | {"file": str(table)})
    assert "no subject" in result["error"]  # the signature holds; the file is another
