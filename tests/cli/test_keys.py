"""Where the command line takes keys and passphrases from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dataseal.ledger.signers import keyfile
from support.cli import Said, dataseal, refused, sh
from support.datasets import World
from support.statements import signer
from support.workspaces import DATASET, make_dataset

SECRET = "open sesame"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace, a small dataset, and a key pair of Alice's that the workspace lists."""
    assert dataseal("init", tmp_path / "ws").code == 0
    make_dataset(tmp_path / "data", shards=1)
    keyfile.save(signer("alice"), tmp_path / "alice.key", None)
    with (tmp_path / "ws/dataseal.toml").open("a", encoding="utf-8") as stream:
        stream.write('\n[[admission]]\ndatasets = ["*"]\nkinds = ["release", "receipt"]\nkeys = ["../alice.pub"]\n')
    return tmp_path


def descriptor(data: bytes) -> int:
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return read


def sign(place: Path, *options: object) -> Said:
    return dataseal(
        "sign", place / "data", "--workspace", place / "ws", "--dataset", DATASET, "--release", "1", *options
    )


def test_a_key_in_a_variable_signs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE", (place / "alice.key").read_text())
    said = sign(place, "--key", "env:ALICE")
    assert said.code == 0, said.err
    assert signer("alice").public.fingerprint in said.out


def test_the_configuration_takes_uris(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = place / "ws/dataseal.toml"
    config.write_text(config.read_text().replace('publisher = "keys/publisher.key"', 'publisher = "env:ALICE"'))
    monkeypatch.setenv("ALICE", (place / "alice.key").read_text())
    said = sign(place)
    assert said.code == 0, said.err
    assert signer("alice").public.fingerprint in said.out


def test_an_openssh_key_signs_and_its_public_line_verifies(place: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = signer("alice").private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (place / "id_ecdsa").write_bytes(key)
    (place / "id_ecdsa").chmod(0o600)
    (place / "id_ecdsa.pub").write_text(dataseal("key", "export", place / "id_ecdsa", "--as", "ssh").out)
    assert sign(place, "--key", place / "id_ecdsa").code == 0
    log = place / "ws/keys/log.vkey"
    said = dataseal("verify", place / "data", "--publisher", place / "id_ecdsa.pub", "--log", log, "--dataset", DATASET)
    assert said.code == 0, said


def test_a_readable_key_file_is_warned_about(place: Path) -> None:
    (place / "alice.key").chmod(0o640)
    said = sign(place, "--key", f"file:{place}/alice.key")
    assert said.code == 0
    assert f"{place}/alice.key can be read by others; run: chmod 600" in said.err


def test_an_unknown_scheme_is_misuse(place: Path) -> None:
    refused(sign(place, "--key", "vault:alice"), 2, "unknown kind of key: vault:", "hashivault:")


def test_a_key_on_the_command_line_is_not_repeated(place: Path) -> None:
    pem = (place / "alice.key").read_text()
    said = sign(place, "--key", pem)
    refused(said, 2, "a private key where its URI is wanted")
    assert pem.splitlines()[1] not in said.err


# --- passphrases ---


@pytest.fixture
def locked(place: Path) -> Path:
    keyfile.save(signer("alice"), place / "locked.key", SECRET.encode())
    return place


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_passphrase_from_a_descriptor(locked: Path, end: str) -> None:
    said = sign(locked, "--key", locked / "locked.key", "--passphrase-fd", descriptor(f"{SECRET}{end}".encode()))
    assert said.code == 0, said.err


def test_a_wrong_passphrase(locked: Path) -> None:
    said = sign(locked, "--key", locked / "locked.key", "--passphrase-fd", descriptor(b"shut"))
    refused(said, 2, "the passphrase does not open this key", "locked.key")
    assert "shut" not in said.err


def test_a_descriptor_comes_before_the_variable(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATASEAL_KEY_PASSPHRASE", "shut")
    said = sign(locked, "--key", locked / "locked.key", "--passphrase-fd", descriptor(SECRET.encode()))
    assert said.code == 0, said.err


@pytest.mark.parametrize("data", [b"", b"\n", b"two\nlines\n", b"x" * 5000])
def test_a_descriptor_without_one_passphrase(locked: Path, data: bytes) -> None:
    refused(sign(locked, "--passphrase-fd", descriptor(data)), 2, "no passphrase")


def test_a_descriptor_that_is_not_open(locked: Path) -> None:
    refused(sign(locked, "--passphrase-fd", 999), 2, "--passphrase-fd 999", "3<FILE")


def test_a_new_key_is_encrypted_with_it(tmp_path: Path) -> None:
    made = dataseal("key", "new", tmp_path / "a.key", "--encrypt", "--passphrase-fd", descriptor(SECRET.encode()))
    assert made.code == 0, made.err
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    assert keyfile.load(tmp_path / "a.key", lambda _: SECRET.encode())


# --- looking at keys ---


@pytest.mark.parametrize("form", ["pem", "ssh", "spki"])
def test_a_key_is_exported(place: Path, form: str) -> None:
    said = dataseal("key", "export", f"file:{place}/alice.key", "--as", form)
    public = signer("alice").public
    assert (
        said.out.strip()
        == {"pem": public.pem().decode().strip(), "ssh": public.ssh(), "spki": f"spki:{public.to_spki()}"}[form]
    )
    assert "PRIVATE" not in said.out


def test_a_fingerprint_of_a_key_in_a_variable(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE", (place / "alice.key").read_text())
    assert dataseal("key", "fingerprint", "env:ALICE").out.strip() == signer("alice").public.fingerprint


def test_openssh_names_no_post_quantum_key(tmp_path: Path) -> None:
    assert dataseal("key", "new", tmp_path / "pq.key", "--scheme", "ml-dsa-44").code == 0
    refused(dataseal("key", "export", tmp_path / "pq.pub", "--as", "ssh"), 2, "ML-DSA")


# --- the gated command ---


def test_the_gated_command_gets_no_key_from_the_environment(
    world: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_KEY", (world.ws / "keys/gate.key").read_text())
    monkeypatch.setenv("PUBLISHER_KEY", "also secret")
    monkeypatch.setenv("HARMLESS", "seen")
    config = world.ws / "dataseal.toml"
    config.write_text(config.read_text().replace('publisher = "keys/publisher.key"', 'publisher = "env:PUBLISHER_KEY"'))
    said = dataseal("gate", world.copy(), *world.gate, "--key", "env:GATE_KEY",
                    *sh('echo "[$HARMLESS][$GATE_KEY][$PUBLISHER_KEY]"'))  # fmt: skip
    assert said.code == 0, said
    assert "[seen][][]" in capfd.readouterr().out


def test_the_gate_signs_receipts_with_the_named_key(world: World, tmp_path: Path) -> None:
    keyfile.save(signer("stranger"), tmp_path / "stranger.key", None)
    said = dataseal("gate", world.copy(), *world.gate, "--key", tmp_path / "stranger.key", *sh("exit 0"))
    assert said.code == 121, said
    assert f"the bundle claims key {signer('stranger').public.fingerprint[:16]}" in said.err


def test_the_descriptor_is_closed_for_the_gated_command(world: World) -> None:
    read = descriptor(b"secret\n")
    assert dataseal("key", "fingerprint", world.ws / "keys/gate.pub", "--passphrase-fd", read).code == 0
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)
