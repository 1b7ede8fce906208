"""Keys by URI, and keys in OpenSSH's form."""

from __future__ import annotations

import os
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from dataseal.ledger.errors import FormatError, UsageError
from dataseal.ledger.publickey import PublicKey
from dataseal.ledger.signers import keyfile, uri
from support.errors import refused
from support.statements import signer
from support.workspaces import no_passphrase

PEM, PLAIN = serialization.Encoding.PEM, serialization.NoEncryption()
PRIVATE = signer("uri").private.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PLAIN)


def ssh(key: object, passphrase: bytes | None = None) -> bytes:
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else PLAIN
    return key.private_bytes(PEM, serialization.PrivateFormat.OpenSSH, how)  # type: ignore[attr-defined, no-any-return]


SSH_KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}


def test_a_path_and_its_file_uris_are_one_key(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_bytes(PRIVATE)
    for form in (
        "a.key",
        "file:a.key",
        f"file://{tmp_path}/a.key",
        f"file://localhost{tmp_path}/a.key",
        tmp_path / "a.key",
    ):
        opened = uri.open_key(str(form), no_passphrase, folder=tmp_path)
        assert opened.public == signer("uri").public
        opened.public.verify(opened.sign(b"m"), b"m")


def test_a_key_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_KEY", PRIVATE.decode())
    assert uri.open_key("env:SIGNING_KEY", no_passphrase).public == signer("uri").public
    assert uri.secrets_of("env:SIGNING_KEY") == ("SIGNING_KEY",)


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNING_KEY", raising=False)
    with refused(UsageError, "SIGNING_KEY is not set"):
        uri.open_key("env:SIGNING_KEY", no_passphrase)


def test_a_variable_that_holds_no_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_KEY", "hunter2 is no key")
    with pytest.raises(UsageError) as error:
        uri.open_key("env:SIGNING_KEY", no_passphrase)
    assert "hunter2" not in f"{error.value} {error.value.hint}"
    assert error.value.where == "env:SIGNING_KEY"


@pytest.mark.parametrize("form", [PRIVATE.decode(), f"env:{PRIVATE.decode()}", f"file:{PRIVATE.decode()}"])
def test_a_key_in_place_of_its_uri_is_not_shown(form: str) -> None:
    with pytest.raises(UsageError) as error:
        uri.open_key(form, no_passphrase)
    assert PRIVATE.decode().splitlines()[1] not in f"{error.value} {error.value.where} {error.value.hint}"


@pytest.mark.parametrize("form", ["vault:key", "http://example.org/key", "pem:abc"])
def test_an_unknown_scheme_is_refused_and_the_known_ones_are_named(form: str) -> None:
    with refused(UsageError, "unknown kind of key", "awskms:", "env:"):
        uri.open_key(form, no_passphrase)


@pytest.mark.parametrize("form", ["file:", "env:", "env:A-B", "file://other.example/key", "awskms:"])
def test_a_uri_that_names_no_key(form: str) -> None:
    with pytest.raises(UsageError):
        uri.open_key(form, no_passphrase)


def test_a_missing_file() -> None:
    with refused(UsageError, "can't read the key file", "nowhere.key"):
        uri.open_key("nowhere.key", no_passphrase)


# --- OpenSSH ---


@pytest.mark.parametrize("kind", SSH_KEYS)
@pytest.mark.parametrize("passphrase", [None, b"open"])
def test_an_openssh_key_file_signs(tmp_path: Path, kind: str, passphrase: bytes | None) -> None:
    path = tmp_path / "id"
    path.write_bytes(ssh(SSH_KEYS[kind], passphrase))
    opened = keyfile.load(path, lambda _: passphrase)
    opened.public.verify(opened.sign(b"m"), b"m")
    line = SSH_KEYS[kind].public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (tmp_path / "id.pub").write_bytes(line + b" alice@example.org\n")
    assert keyfile.load_public(tmp_path / "id.pub") == opened.public
    assert opened.public.ssh().encode() == line


def test_what_ssh_keygen_makes(tmp_path: Path) -> None:
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open", "-f", tmp_path / "id"], check=True)
    except FileNotFoundError:
        pytest.skip("no ssh-keygen here")
    assert keyfile.load(tmp_path / "id", lambda _: b"open").public == keyfile.load_public(tmp_path / "id.pub")


def test_a_wrong_passphrase_of_an_openssh_key(tmp_path: Path) -> None:
    (tmp_path / "id").write_bytes(ssh(SSH_KEYS["ed25519"], b"open"))
    with refused(UsageError, "the passphrase does not open this key"):
        keyfile.load(tmp_path / "id", lambda _: b"shut")


def test_an_openssh_key_cut_short(tmp_path: Path) -> None:
    (tmp_path / "id").write_bytes(ssh(SSH_KEYS["ed25519"])[:200])
    with refused(UsageError, "not a PEM private key"):
        keyfile.load(tmp_path / "id", no_passphrase)


RSA_LINE = b"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== x"
SK_LINE = b"sk-ssh-ed25519@openssh.com " + b64encode(
    b"\0\0\0\x1ask-ssh-ed25519@openssh.com" + b"\0\0\0\x20" + b"k" * 32
)


@pytest.mark.parametrize(
    "line", [RSA_LINE, SK_LINE, b"ecdsa-sha2-nistp521 AAAA", b"ssh-ed25519-cert-v01@openssh.com AAAA"]
)
def test_a_kind_of_openssh_key_that_does_not_sign_here(line: bytes) -> None:
    with refused(FormatError, "no kind of OpenSSH key", "ssh-ed25519"):
        PublicKey.from_ssh(line)


@pytest.mark.parametrize("line", [b"ssh-ed25519 AAAA", b"ssh-ed25519", b"ssh-ed25519 !!!!"])
def test_a_broken_openssh_line(line: bytes) -> None:
    with refused(FormatError, "not an OpenSSH public key"):
        PublicKey.from_ssh(line)


def test_two_openssh_lines_are_two_keys() -> None:
    line = signer("a", "ed25519").public.ssh().encode()
    with refused(FormatError, "more than one"):
        PublicKey.from_ssh(line + b"\n" + line)


def test_openssh_has_no_post_quantum_key() -> None:
    with refused(FormatError, "ML-DSA"):
        signer("pq", "ml-dsa-44").public.ssh()


def test_remote_keys_name_their_secrets() -> None:
    assert uri.secrets_of("hashivault:key") == ("VAULT_TOKEN",)
    assert uri.secrets_of("hsm:1") == (uri.PIN,)
    assert uri.secrets_of(os.devnull) == ()
