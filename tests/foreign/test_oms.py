"""The reference implementation of OMS checks the signature that ``sign`` writes, and signs what ours checks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from dataseal.ledger.digest import sha256
from foreign.tools import TIMEOUT, executable, stock
from support.certificates import Authority
from support.cli import Said, dataseal
from support.datasets import flip, run, write
from support.sigstore import Sigstore, running
from support.sigstore.forge import ALICE
from support.tsa import LONG_AGO

Run = Callable[..., subprocess.CompletedProcess[str]]
OMS = "data/.dataseal/oms.sigstore.json"


@cache
def version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True)
    return " ".join(done.stdout.replace(",", "").split())


@pytest.fixture
def model_signing(request: pytest.FixtureRequest) -> Run:
    """Runs ``model_signing``; it prints to stdout and stderr alike."""
    program = executable("oms/bin/model_signing")

    def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        stock(request, version(program))
        return done

    return ask


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("template")
    run("init", place / "ws")
    names = ("a.txt", "sub/b.bin", "sub/é.txt", "empty", ".gitattributes", ".github/x.yml", "sub/.gitignore")
    for name in names:
        write(place / "data" / name, b"" if name == "empty" else name.encode())
    run("sign", place / "data", "--dataset", "acme/x", "--release", "1.0.0", "--workspace", place / "ws")
    return place


@pytest.fixture
def sealed(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace ``ws``, and a dataset ``data`` that it signed."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def theirs(model_signing: Run) -> subprocess.CompletedProcess[str]:
    return model_signing("verify", "key", "data", "--signature", OMS, "--public_key", "ws/keys/publisher.pub")


def ours(*more: object) -> Said:
    return dataseal("verify", "data", "--oms", "model.sig", "--publisher", "ws/keys/publisher.pub", *more)


# --- theirs of ours ---


def test_the_reference_verifies_a_release(sealed: Path, model_signing: Run) -> None:
    done = theirs(model_signing)
    assert done.returncode == 0, done.stdout


def test_the_reference_finds_what_was_changed_in_a_release(sealed: Path, model_signing: Run) -> None:
    flip(sealed / "data/sub/b.bin", 0)
    done = theirs(model_signing)
    assert done.returncode == 1
    assert "sub/b.bin" in done.stdout


def test_the_reference_finds_what_was_added_to_a_release(sealed: Path, model_signing: Run) -> None:
    write(sealed / "data/poison", b"x")
    done = theirs(model_signing)
    assert done.returncode == 1
    assert "poison" in done.stdout


def test_the_reference_verifies_a_release_with_a_recorded_exclusion(sealed: Path, model_signing: Run) -> None:
    write(sealed / "data/x.tmp", b"x")
    run("sign", "data", "--dataset", "acme/x", "--release", "1.0.1", "--workspace", "ws", "--exclude", "*.tmp")
    done = theirs(model_signing)
    assert done.returncode == 0, done.stdout


def test_the_reference_wants_the_publishers_key(sealed: Path, model_signing: Run) -> None:
    run("key", "new", "other.key")
    done = model_signing("verify", "key", "data", "--signature", OMS, "--public_key", "other.pub")
    assert done.returncode == 1
    assert "Key mismatch" in done.stdout


def test_the_reference_verifies_a_release_by_a_p384_key(sealed: Path, model_signing: Run) -> None:
    run("key", "new", "p384.key", "--scheme", "ecdsa-p384")
    text = (sealed / "ws/dataseal.toml").read_text()
    (sealed / "ws/dataseal.toml").write_text(text.replace('["keys/publisher.pub"]', '["../p384.pub"]'))
    run("sign", "data", "--dataset", "acme/x", "--release", "2.0.0", "--workspace", "ws", "--key", "p384.key")
    done = model_signing("verify", "key", "data", "--signature", OMS, "--public_key", "p384.pub")
    assert done.returncode == 0, done.stdout


# --- ours of theirs ---


@pytest.fixture
def signed(sealed: Path, model_signing: Run) -> Path:
    """The dataset with its seal, signed by the reference as a folder like any other, beside it."""
    done = model_signing("sign", "key", "data", "--signature", "model.sig", "--private_key", "ws/keys/publisher.key")
    assert done.returncode == 0, done.stdout
    return sealed


def test_what_the_reference_signs_is_verified(signed: Path) -> None:
    said = ours()
    assert said.code == 0, said
    assert said.last.startswith("PASSED partial data: ")
    assert "oms.ignored: 1 file that nobody signed: the signer ignored '.gitattributes'" in said.out


def test_what_was_changed_since_the_reference_signed(signed: Path) -> None:
    flip(signed / "data/a.txt", 0)
    said = ours()
    assert said.code == 1
    assert "integrity.changed: 'a.txt'" in said.out


def test_a_signature_inside_the_folder_is_not_taken_for_data(sealed: Path, model_signing: Run) -> None:
    done = model_signing(
        "sign", "key", "data", "--signature", "data/model.sig", "--private_key", "ws/keys/publisher.key"
    )
    assert done.returncode == 0, done.stdout
    said = dataseal("verify", "data", "--oms", "data/model.sig", "--publisher", "ws/keys/publisher.pub")
    assert said.code == 0, said
    assert "left out: model.sig (the signature itself)" in said.out


# --- certificates ---


@pytest.fixture
def certified(sealed: Path) -> Path:
    """The workspace lists Alice's certificates, and her key, chain and root stand beside it."""
    root = Authority.root(start=LONG_AGO)
    between = root.intermediate(start=LONG_AGO)
    leaf = between.leaf(start=LONG_AGO, end=datetime.now(UTC) + timedelta(days=90))
    write(sealed / "ca.pem", root.pem)
    write(sealed / "between.pem", between.pem)
    write(sealed / "leaf.pem", leaf.pem)
    write(sealed / "chain.pem", leaf.pem + between.pem)
    write(sealed / "alice.key", leaf.key_pem).chmod(0o600)
    admit(sealed, 'x509 = [{roots = "../ca.pem", identity = "email:alice@example.org"}]')
    run("trust", "add", "alice", "--roots", "ca.pem", "--identity", "email:alice@example.org", "--trust", "trust.yaml")
    return sealed


def admit(place: Path, lists: str) -> None:
    with (place / "ws/dataseal.toml").open("a", encoding="utf-8") as stream:
        stream.write(f'\n[[admission]]\ndatasets = ["*"]\nkinds = ["release", "modification"]\n{lists}\n')


def sign_again(*how: object) -> None:
    run("sign", "data", "--dataset", "acme/x", "--release", "2.0.0", "--workspace", "ws", "--oms", *how)


def test_the_reference_verifies_a_release_by_a_certificate(certified: Path, model_signing: Run) -> None:
    sign_again("--key", "alice.key", "--certificate", "chain.pem")
    done = model_signing("verify", "certificate", "data", "--signature", OMS, "--certificate_chain", "ca.pem")
    assert done.returncode == 0, done.stdout


def test_what_the_reference_signs_with_a_certificate(certified: Path, model_signing: Run) -> None:
    done = model_signing(
        "sign", "certificate", "data", "--signature", "model.sig", "--private_key", "alice.key",
        "--signing_certificate", "leaf.pem", "--certificate_chain", "between.pem",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    said = dataseal("verify", "data", "--oms", "model.sig", "--trust", "trust.yaml", "--publisher", "alice")
    assert said.code == 0, said
    assert "signed by   alice, x509 " in said.out
    flip(certified / "data/a.txt", 0)
    assert dataseal("verify", "data", "--oms", "model.sig", "--trust", "trust.yaml", "--publisher", "alice").code == 1


# --- Sigstore ---


@pytest.fixture(scope="module")
def sigstore() -> Iterator[Sigstore]:
    with running() as made:
        yield made


@pytest.fixture
def keyless(sealed: Path, sigstore: Sigstore) -> Path:
    """The workspace lists Alice's identity at an instance on loopback; a token of hers lies beside it."""
    sigstore.write(sealed)
    write(sealed / "token", sigstore.provider.token(ALICE).encode())
    run("trust", "add", "alice", "--identity", ALICE, "--issuer", sigstore.url, "--trust-root", "trusted-root.json",
        "--trust", "trust.yaml")  # fmt: skip
    digest = sha256((sealed / "trusted-root.json").read_bytes()).hex()
    admit(
        sealed,
        f'sigstore = [{{identity = "{ALICE}", issuer = "{sigstore.url}", trust_root = "../trusted-root.json", '
        f'sha256 = "{digest}"}}]',
    )
    return sealed


def their_identity(sigstore: Sigstore) -> tuple[str, ...]:
    return ("--trust_config", "trust-config.json", "--identity", ALICE, "--identity_provider", sigstore.url)


def test_the_reference_verifies_a_release_by_a_sigstore_identity(
    keyless: Path, sigstore: Sigstore, model_signing: Run
) -> None:
    sign_again("--trust-config", "trust-config.json", "--identity-token", "token")
    done = model_signing("verify", "sigstore", "data", "--signature", OMS, *their_identity(sigstore))
    assert done.returncode == 0, done.stdout
    said = dataseal("verify", "data", "--oms", OMS, "--trust", "trust.yaml", "--publisher", "alice")
    assert said.code == 0, said


def test_what_the_reference_signs_with_a_sigstore_identity(
    keyless: Path, sigstore: Sigstore, model_signing: Run
) -> None:
    token = sigstore.provider.token(ALICE)
    done = model_signing("sign", "sigstore", "data", "--signature", "model.sig", "--trust_config", "trust-config.json",
                         "--identity_token", token)  # fmt: skip
    assert done.returncode == 0, done.stdout
    said = dataseal("verify", "data", "--oms", "model.sig", "--trust", "trust.yaml", "--publisher", "alice")
    assert said.code == 0, said
    assert f"signed by   alice, sigstore {ALICE}" in said.out
    run("trust", "add", "bob", "--identity", "bob@example.org", "--issuer", sigstore.url, "--trust-root",
        "trusted-root.json", "--trust", "trust.yaml")  # fmt: skip
    other = dataseal("verify", "data", "--oms", "model.sig", "--trust", "trust.yaml", "--publisher", "bob")
    assert other.code == 1
    assert "signature.untrusted" in other.out
