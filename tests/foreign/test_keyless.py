"""A stock verifier in another language checks keyless bundles, and so seconds the instance that our tests sign with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.digest import sha256
from dataseal.ledger.keyless import SigstoreIdentity, SigstoreRoot
from dataseal.ledger.log import Log
from dataseal.ledger.signers.keyless import KeylessSigner, identity_token, instance
from dataseal.ledger.statement import RELEASE
from support.sigstore import Lie, Sigstore, running
from support.sigstore.forge import ALICE, Forger
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
