"""The reference implementation of OMS checks the signature that ``sign`` writes, and signs what ours checks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from foreign.tools import TIMEOUT, executable, stock
from support.cli import Said, dataseal
from support.datasets import flip, run, write

Run = Callable[..., subprocess.CompletedProcess[str]]
OMS = "data/.dataseal/oms.sigstore.json"


@pytest.fixture
def model_signing(request: pytest.FixtureRequest) -> Run:
    """Runs ``model_signing``; it prints to stdout and stderr alike."""
    program = executable("oms/bin/model_signing")

    def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=TIMEOUT, check=False,
        )  # fmt: skip
        version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=True)
        stock(request, " ".join(version.stdout.replace(",", "").split()))
        return done

    return ask


@pytest.fixture
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace ``ws``, and a dataset ``data`` that it signed."""
    monkeypatch.chdir(tmp_path)
    run("init", "ws")
    names = ("a.txt", "sub/b.bin", "sub/é.txt", "empty", ".gitattributes", ".github/x.yml", "sub/.gitignore")
    for name in names:
        write(tmp_path / "data" / name, b"" if name == "empty" else name.encode())
    run("sign", "data", "--dataset", "acme/x", "--release", "1.0.0", "--workspace", "ws", "--exclude", "*.tmp")
    return tmp_path


def theirs(model_signing: Run, **more: Any) -> subprocess.CompletedProcess[str]:
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
