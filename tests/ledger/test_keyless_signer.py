"""Signing with a Sigstore identity: the real client against an instance on loopback, and its failures."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sigstore.models import Bundle as Foreign
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity

from dataseal.ledger import bundle as bundles
from dataseal.ledger import manifest
from dataseal.ledger.admission import Admission, Rule
from dataseal.ledger.errors import SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.keyless import SigstoreIdentity
from dataseal.ledger.log import Log
from dataseal.ledger.signers import keyless
from dataseal.ledger.signers.keyless import KeylessSigner, identity_token, instance
from dataseal.ledger.statement import PAYLOAD_TYPE
from dataseal.ledger.trustedroot import SigstoreRoot
from dataseal.ledger.verify import verify_bundle
from support import statements as make
from support.errors import refused
from support.sigstore import Lie, Sigstore, running
from support.sigstore.forge import ALICE
from support.workspaces import make_bench, make_dataset

PAYLOAD = make.release_payload()


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    with running() as made:
        yield made


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """No CI system of the machine lends its identity."""
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)


def signer(sigstore: Sigstore, identity: str = ALICE, **claims: Any) -> KeylessSigner:
    config = instance(sigstore.trust_config())
    return KeylessSigner(config, identity_token(config, given=sigstore.provider.token(identity, **claims)))


def pinned(sigstore: Sigstore, identity: str = ALICE) -> SigstoreIdentity:
    data = json.dumps(sigstore.trusted_root()).encode()
    return SigstoreIdentity.of(identity, sigstore.url, SigstoreRoot.pinned(data, hashlib.sha256(data).hexdigest()))


def test_what_is_signed_carries_certificate_entry_and_checkpoint(sigstore: Sigstore) -> None:
    made = signer(sigstore)
    signed = made.sign_payload(PAYLOAD)
    assert isinstance(signed.material, bundles.Certificate)
    (entry,) = signed.tlog_entries
    assert entry["inclusionProof"]["checkpoint"]["envelope"].startswith("localhost - ")
    raw = bundles.encode(PAYLOAD, signed.signature, signed.material, signed.timestamps, signed.tlog_entries)
    assert verify_bundle(raw, [pinned(sigstore)]).signer == verify_bundle(raw, [made.credential]).signer
    assert made.public is None


def test_an_instance_with_a_timestamp_authority() -> None:
    with running(tsa=True) as sigstore:
        signed = signer(sigstore).sign_payload(PAYLOAD)
        raw = bundles.encode(PAYLOAD, signed.signature, signed.material, signed.timestamps, signed.tlog_entries)
        verified = verify_bundle(raw, [pinned(sigstore)])
    assert len(signed.timestamps) == 1
    assert sorted(time.source for time in verified.signer.times) == ["rekor", "rfc3161"]


def test_a_log_of_rekors_second_version_with_a_timestamp() -> None:
    with running(tsa=True, rekor=2) as sigstore:
        signed = signer(sigstore).sign_payload(PAYLOAD)
        raw = bundles.encode(PAYLOAD, signed.signature, signed.material, signed.timestamps, signed.tlog_entries)
        verified = verify_bundle(raw, [pinned(sigstore)])
        assert [time.source for time in verified.signer.times] == ["rfc3161"]
        other = bundles.encode(PAYLOAD, signed.signature, signed.material, (), signed.tlog_entries)
        with refused(SignatureInvalid, "Sigstore does not verify it"):  # nobody tells its time
            verify_bundle(other, [pinned(sigstore)])
        for lie in ("wrong proof", "old checkpoint", "wrong checkpoint key"):
            with sigstore.lying(lie):
                signed = signer(sigstore).sign_payload(PAYLOAD)
            raw = bundles.encode(PAYLOAD, signed.signature, signed.material, signed.timestamps, signed.tlog_entries)
            with refused(SignatureInvalid, "Sigstore does not verify it"):
                verify_bundle(raw, [pinned(sigstore)])


def test_one_certificate_serves_a_run(sigstore: Sigstore) -> None:
    made = signer(sigstore)
    first, second = made.sign_payload(PAYLOAD), made.sign_payload(make.release_payload(sequence=2))
    assert first.material == second.material
    assert first.tlog_entries != second.tlog_entries


def test_the_walk_signs_a_release_that_stock_tools_verify(sigstore: Sigstore, tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "workspace")
    log = Log(
        bench.log.store,
        origin=bench.workspace.config.ledger.origin,
        signers=bench.log._signers,
        admission=Admission([Rule(("*",), ("release",), (pinned(sigstore),))]),
        clock=bench.clock,
    )
    data = make_dataset(tmp_path / "data")
    bench.sign(data, log=log, signer=signer(sigstore))
    raw = (data / ".dataseal/release/1.sigstore.json").read_bytes()
    config = ClientTrustConfig.from_json(sigstore.trust_config().decode())
    kind, payload = Verifier(trusted_root=config.trusted_root).verify_dsse(
        Foreign.from_json(raw), Identity(identity=ALICE, issuer=sigstore.url)
    )
    assert kind == PAYLOAD_TYPE
    statement = json.loads(payload)
    (subject,) = statement["subject"]
    table = (data / ".dataseal/shards.parquet").read_bytes()  # the subject is a file that is there
    assert subject["digest"]["sha256"] == hashlib.sha256(table).hexdigest()
    digest, root = (bytes.fromhex(subject["digest"][name]) for name in ("sha256", "datasealRoot"))
    assert len(manifest.parse_table(table, manifest.Parameters(), digest=digest, root=root).shards) == 4


def test_the_credential_is_known_once_something_was_signed(sigstore: Sigstore) -> None:
    with refused(UsageError, "nothing was signed"):
        _ = signer(sigstore).credential


# --- tokens ---


def test_gitlabs_ambient_token(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", sigstore.provider.token("project_path:acme/data"))
    assert identity_token(instance(sigstore.trust_config())).identity == "project_path:acme/data"


def test_githubs_ambient_token(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{sigstore.url}/github")
    assert identity_token(instance(sigstore.trust_config())).identity == ALICE


def test_a_ci_job_that_may_not_have_a_token(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    with refused(UsageError, "permissions", "sigstore"):
        identity_token(instance(sigstore.trust_config()))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client leaves its socket open
def test_a_person_logs_in_with_a_browser(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[threading.Thread] = []

    def visit(url: str) -> bool:
        thread = threading.Thread(target=lambda: urllib.request.urlopen(url, timeout=20).close())
        thread.start()
        visits.append(thread)
        return True

    monkeypatch.setattr(webbrowser, "open", visit)
    token = identity_token(instance(sigstore.trust_config()), browser=True)
    for thread in visits:
        thread.join(20)
    assert (token.identity, token.issuer) == (ALICE, sigstore.url)


def test_nobody_to_sign_for(sigstore: Sigstore) -> None:
    with refused(UsageError, "no identity to sign with", "--identity-token"):
        identity_token(instance(sigstore.trust_config()))


@pytest.mark.parametrize("given", ["x", "a.b.c", "x" * 100_000])
def test_what_is_no_token(sigstore: Sigstore, given: str) -> None:
    with refused(UsageError, "identity token"):
        identity_token(instance(sigstore.trust_config()), given=given)


def test_an_expired_token(sigstore: Sigstore) -> None:
    with refused(UsageError, "can't be used", "fresh"):
        signer(sigstore, iat=int(time.time()) - 1000, exp=int(time.time()) - 500)


def test_a_token_for_another_audience(sigstore: Sigstore) -> None:
    with refused(UsageError, "can't be used"):
        signer(sigstore, aud="https://elsewhere.example")


def test_a_token_that_the_provider_did_not_make(sigstore: Sigstore) -> None:
    with running() as other:
        config = instance(sigstore.trust_config())
        forged = KeylessSigner(config, identity_token(config, given=other.provider.token(ALICE)))
        with refused(UsageError, "does not accept the identity"):
            forged.sign_payload(PAYLOAD)


# --- lies and failures of the instance ---


@pytest.mark.parametrize("lie", ["no sct", "foreign sct", "broken ca", "broken log"])
def test_what_the_client_notices(sigstore: Sigstore, lie: Lie) -> None:
    with sigstore.lying(lie), refused(Unavailable, "Sigstore did not sign"):
        signer(sigstore).sign_payload(PAYLOAD)


@pytest.mark.parametrize("lie", ["wrong proof", "old checkpoint", "wrong checkpoint key", "wrong promise"])
def test_what_the_client_believes_does_not_leave_the_walk(sigstore: Sigstore, tmp_path: Path, lie: Lie) -> None:
    bench = make_bench(tmp_path / "workspace")
    with sigstore.lying(lie), refused(SignatureInvalid, "Sigstore does not verify it"):
        bench.sign(make_dataset(tmp_path / "data"), signer=signer(sigstore))
    with bench.log.store.view() as view:
        assert view.head().size == 0
    assert not (tmp_path / "data/.dataseal").exists()


def test_an_instance_that_is_not_there() -> None:
    with running() as gone:
        made = signer(gone)
    with refused(Unavailable, "Sigstore did not sign"):
        made.sign_payload(PAYLOAD)


def test_an_instance_that_never_answers(sigstore: Sigstore, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(keyless, "ANSWER_SECONDS", 0.2)
    real = sigstore.signing_cert

    def slow(*arguments: Any) -> Any:
        held.wait(20)
        return real(*arguments)

    monkeypatch.setattr(sigstore, "signing_cert", slow)
    try:
        with refused(Unavailable, "no answer within"):
            signer(sigstore).sign_payload(PAYLOAD)
    finally:
        held.set()


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", b"x" * 2_000_000])
def test_what_is_no_trust_config(data: bytes) -> None:
    with refused(UsageError, "client trust config"):
        instance(data)
