"""``sign`` and ``record`` with certificates, timestamps and Sigstore identities, through the command line."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dataseal.ledger import bundle as bundles
from support.certificates import Authority
from support.cli import Said, dataseal
from support.sigstore import Sigstore, running
from support.sigstore.forge import ALICE
from support.tsa import LONG_AGO, Tsa, responder
from support.workspaces import DATASET, make_dataset

NOW = datetime.now(UTC)
ROOT = Authority.root(start=LONG_AGO)
INTERMEDIATE = ROOT.intermediate(start=LONG_AGO)
LEAF = INTERMEDIATE.leaf(start=LONG_AGO, end=NOW + timedelta(days=90))


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    with running() as made:
        yield made


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that also lists Alice's certificates, her key and chain, and a dataset."""
    folder = tmp_path_factory.mktemp("template")
    assert dataseal("init", folder / "ws").code == 0
    (folder / "ca.pem").write_bytes(ROOT.pem)
    (folder / "alice.key").write_bytes(LEAF.key_pem)
    (folder / "alice.key").chmod(0o600)
    (folder / "chain.pem").write_bytes(LEAF.pem + INTERMEDIATE.pem + ROOT.pem)
    admit(folder, 'x509 = [{roots = "../ca.pem", identity = "email:alice@example.org"}]')
    make_dataset(folder / "data", shards=1)
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Path:
    """A copy of the template."""
    return shutil.copytree(template, tmp_path / "place")


def admit(folder: Path, lists: str) -> None:
    """Adds an admission rule."""
    with (folder / "ws/dataseal.toml").open("a", encoding="utf-8") as stream:
        stream.write(f'\n[[admission]]\ndatasets = ["*"]\nkinds = ["release", "modification"]\n{lists}\n')


def trusted_root(folder: Path, sigstore: Sigstore) -> str:
    """Writes the instance's root; gives its digest."""
    sigstore.write(folder)
    return hashlib.sha256((folder / "trusted-root.json").read_bytes()).hexdigest()


def sign(place: Path, *options: object) -> Said:
    base = ("sign", place / "data", "--workspace", place / "ws", "--dataset", DATASET, "--release", "1.0.0")
    return dataseal(*base, *options)


def bundle(place: Path) -> bundles.Bundle:
    return bundles.parse((place / "data/.dataseal/release/1.sigstore.json").read_bytes())


def token_file(place: Path, sigstore: Sigstore) -> Path:
    path = place / "token"
    path.write_text(sigstore.provider.token(ALICE) + "\n")
    return path


def certified(place: Path) -> tuple[object, ...]:
    return ("--key", place / "alice.key", "--certificate", place / "chain.pem")


def test_a_release_signed_with_a_certificate_passes_for_its_name(place: Path) -> None:
    said = sign(place, *certified(place))
    assert said.code == 0, said.err
    assert isinstance(bundle(place).material, bundles.Chain)
    assert "x509 email:alice@example.org" in said.out


def test_the_signature_is_timestamped(place: Path) -> None:
    tsa = Tsa.new()
    with responder(tsa) as url:
        said = sign(place, *certified(place), "--tsa", url)
    assert said.code == 0, said.err
    assert len(bundle(place).timestamps) == 1


def test_a_key_signature_is_timestamped_too(place: Path) -> None:
    with responder(Tsa.new()) as url:
        said = sign(place, "--tsa", url)
    assert said.code == 0, said.err
    assert isinstance(bundle(place).material, bundles.KeyHint)
    assert len(bundle(place).timestamps) == 1


def test_a_modification_is_recorded_with_a_certificate(place: Path) -> None:
    options = ("--workspace", place / "ws", "--dataset", DATASET, "--reason", "first", *certified(place))
    said = dataseal("record", "collect", "none", place / "data", *options)
    assert said.code == 0, said.err


def test_an_authority_that_is_away_leaves_nothing_behind(place: Path) -> None:
    said = sign(place, "--tsa", "http://127.0.0.1:1/")
    assert said.code == 3
    assert "nothing was logged" in said.err
    assert not (place / "data/.dataseal").exists()


def test_a_release_signed_by_an_identity(place: Path, sigstore: Sigstore) -> None:
    digest = trusted_root(place, sigstore)
    admit(place, f'sigstore = [{{identity = "{ALICE}", issuer = "{sigstore.url}", '
                 f'trust_root = "../trusted-root.json", sha256 = "{digest}"}}]')  # fmt: skip
    said = sign(place, "--identity-token", token_file(place, sigstore), "--trust-config", place / "trust-config.json")
    assert said.code == 0, said.err
    assert f"sigstore {ALICE} ({sigstore.url})" in said.out
    assert isinstance(bundle(place).material, bundles.Certificate)
    checked = dataseal("ledger", "check", "--workspace", place / "ws")
    assert checked.code == 0, checked.out + checked.err


def test_an_identity_that_the_log_does_not_list(place: Path, sigstore: Sigstore) -> None:
    sigstore.write(place)
    said = sign(place, "--identity-token", token_file(place, sigstore), "--trust-config", place / "trust-config.json")
    assert said.code == 1
    assert not (place / "data/.dataseal").exists()


def test_an_edited_trusted_root_in_the_configuration(place: Path, sigstore: Sigstore) -> None:
    digest = trusted_root(place, sigstore)
    admit(place, f'sigstore = [{{identity = "{ALICE}", issuer = "{sigstore.url}", '
                 f'trust_root = "../trusted-root.json", sha256 = "{digest}"}}]')  # fmt: skip
    edited = json.loads((place / "trusted-root.json").read_text())
    edited["tlogs"] = []
    (place / "trusted-root.json").write_text(json.dumps(edited))
    said = sign(place)
    assert said.code == 2
    assert "pins" in said.err


# --- what a consumer makes of it ---


def verify(place: Path, trust: str, *options: object) -> Said:
    (place / "trust.yaml").write_text("dataseal_trust: 1\n" + trust, encoding="utf-8")
    log = place / "ws/keys/log.vkey"
    base = ("verify", place / "data", "--trust", place / "trust.yaml", "--log", log, "--dataset", DATASET)
    return dataseal(*base, *options)


ALICES = """\
signers: {alice: {x509: {roots: ca.pem, identity: "email:alice@example.org"}}}
"""


def test_a_consumer_who_trusts_the_name_passes_it(place: Path) -> None:
    assert sign(place, *certified(place)).code == 0
    said = verify(place, ALICES, "--publisher", "alice")
    assert said.code == 0, said.out + said.err
    assert "PASSED" in said.last
    assert "email:alice@example.org" in said.out


def test_a_consumer_who_trusts_another_name_blocks_it(place: Path) -> None:
    assert sign(place, *certified(place)).code == 0
    said = verify(place, ALICES.replace("email:alice", "email:bob"), "--publisher", "alice")
    assert said.code == 1
    assert "BLOCKED" in said.last


def test_a_pinned_authoritys_time_is_shown(place: Path) -> None:
    tsa = Tsa.new()
    (place / "tsa.pem").write_bytes(tsa.root.pem)
    with responder(tsa) as url:
        assert sign(place, *certified(place), "--tsa", url).code == 0
    said = verify(place, ALICES + "timestamp_authorities: {corp-tsa: tsa.pem}\n", "--publisher", "alice")
    assert said.code == 0, said.out + said.err
    assert "corp-tsa" in said.out


def test_a_timestamp_over_another_signature_blocks(place: Path) -> None:
    tsa = Tsa.new()
    (place / "tsa.pem").write_bytes(tsa.root.pem)
    assert sign(place, *certified(place)).code == 0
    path = place / "data/.dataseal/release/1.sigstore.json"
    value = json.loads(path.read_bytes())
    stamp = base64.b64encode(tsa.stamp(b"another")).decode()
    value["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stamp}]}
    path.write_text(json.dumps(value))
    said = verify(place, ALICES + "timestamp_authorities: {corp-tsa: tsa.pem}\n", "--publisher", "alice")
    assert said.code == 1
    assert "not over this signature" in said.out


def identity(sigstore: Sigstore, digest: str, **changes: str) -> str:
    lines = {
        "identity": ALICE, "issuer": sigstore.url, "trust_root": "trusted-root.json", "sha256": digest,
    } | changes  # fmt: skip
    return "signers: {alice: {sigstore: {" + ", ".join(f'{k}: "{v}"' for k, v in lines.items()) + "}}}\n"


@pytest.fixture
def keyless(place: Path, sigstore: Sigstore) -> str:
    """A release that Alice's identity signed; gives the digest of the instance's root."""
    digest = trusted_root(place, sigstore)
    admit(place, f'sigstore = [{{identity = "{ALICE}", issuer = "{sigstore.url}", '
                 f'trust_root = "../trusted-root.json", sha256 = "{digest}"}}]')  # fmt: skip
    said = sign(place, "--identity-token", token_file(place, sigstore), "--trust-config", place / "trust-config.json")
    assert said.code == 0, said.err
    return digest


def test_a_consumer_who_trusts_the_identity_passes_it(place: Path, sigstore: Sigstore, keyless: str) -> None:
    said = verify(place, identity(sigstore, keyless), "--publisher", "alice")
    assert said.code == 0, said.out + said.err
    assert "PASSED" in said.last
    assert ALICE in said.out
    assert "sigstore" not in said.err  # its client writes warnings of its own otherwise


def test_a_run_that_is_repeated_finds_its_entry(place: Path, sigstore: Sigstore, keyless: str) -> None:
    before = bundle(place).raw
    said = sign(place, "--identity-token", token_file(place, sigstore), "--trust-config", place / "trust-config.json")
    assert said.code == 0, said.err
    assert "in the ledger already" in said.out
    assert bundle(place).raw == before


def test_the_same_name_from_another_issuer_blocks(place: Path, sigstore: Sigstore, keyless: str) -> None:
    said = verify(place, identity(sigstore, keyless, issuer="https://idp.example"), "--publisher", "alice")
    assert said.code == 1
    assert "vouches" in said.out


def test_an_edited_root_is_an_invalid_trust_document(place: Path, sigstore: Sigstore, keyless: str) -> None:
    path = place / "trusted-root.json"
    path.write_text(path.read_text().replace("a test", "a TEST"))
    said = verify(place, identity(sigstore, keyless), "--publisher", "alice")
    assert said.code == 2
    assert "pins" in said.err


# --- misuse ---


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--keyless", "--key", "x"], "at once"),
        (["--staging", "--certificate", "x"], "at once"),
        (["--staging", "--trust-config", "x"], "two Sigstore instances"),
        (["--keyless", "--tsa", "http://x/"], "their own instance"),
        (["--keyless", "--offline"], "need the network"),
        (["--tsa", "http://x/", "--offline"], "need the network"),
        (["--tsa", "x"], "no address"),
        (["--certificate", "missing.pem"], "can't be read"),
        (["--trust-config", "missing.json"], "can't be read"),
    ],
)
def test_options_that_make_no_sense(place: Path, options: list[str], word: str) -> None:
    said = sign(place, *options)
    assert said.code == 2, said.out + said.err
    assert word in said.err


@pytest.mark.parametrize("given", ["", "missing", "a.b.c"])
def test_a_token_that_is_none(place: Path, sigstore: Sigstore, given: str) -> None:
    said = sign(place, "--trust-config", sigstore.write(place), "--identity-token", given)
    assert said.code == 2
    assert "token" in said.err


def test_an_admission_rule_that_lists_nobody(place: Path) -> None:
    admit(place, "")
    said = sign(place)
    assert said.code == 2
    assert "lists nobody" in said.err


def test_a_key_path_never_imports_sigstore() -> None:
    import subprocess
    import sys

    code = (
        "import sys, dataseal.cli.signing, dataseal.ledger.keyless, dataseal.ledger.workspace, dataseal.ledger.verify;"
        "sys.exit('sigstore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
