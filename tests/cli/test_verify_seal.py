"""`dataseal verify`: what travels in ``.dataseal/`` is a closed set, and every file in it is bound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dataseal.ledger import bundle as bundles
from dataseal.ledger.statement import PAYLOAD_TYPE
from support.cli import blocked, dataseal, passed
from support.datasets import NAME, World, flip, run, second, signer, write

BUNDLE, PROOF = "release/1.sigstore.json", "release/1.tlog-proof"


def seal(copy: Path) -> Path:
    return copy / ".dataseal"


def test_the_whole_seal_stripped(world: World) -> None:
    copy = world.copy()
    shutil.rmtree(seal(copy))
    blocked(world.verify(copy), "signature.missing", "not signed, or its seal was stripped")


def test_an_empty_seal(world: World) -> None:
    copy = world.copy()
    shutil.rmtree(seal(copy))
    seal(copy).mkdir()
    blocked(world.verify(copy), "signature.missing")


def test_the_seal_as_a_symlink_to_the_true_one(world: World) -> None:
    copy = world.copy()
    shutil.rmtree(seal(copy))
    seal(copy).symlink_to(world.v2 / ".dataseal", target_is_directory=True)
    blocked(world.verify(copy), "signature.missing")


def test_a_stripped_bundle(world: World) -> None:
    copy = world.copy()
    (seal(copy) / BUNDLE).unlink()
    blocked(world.verify(copy), "signature.missing", f".dataseal/{BUNDLE} is missing: the signature was stripped")


def test_a_stripped_bundle_and_proof(world: World) -> None:
    copy = world.copy()
    shutil.rmtree(seal(copy) / "release")
    blocked(world.verify(copy), "signature.missing", "no release bundle in .dataseal/")


def test_a_stripped_proof(world: World) -> None:
    copy = world.copy()
    (seal(copy) / PROOF).unlink()
    said = world.verify(copy)
    blocked(said, "log.missing", f".dataseal/{PROOF} is missing")
    assert "rule log            fail" in said.out


@pytest.mark.parametrize("name", [BUNDLE, PROOF, "shards.parquet", "history/00000000.sigstore.json"])
def test_a_symlink_in_place_of_a_seal_file(world: World, name: str) -> None:
    copy = world.copy()
    shutil.copy(seal(copy) / name, world.here / "real")
    (seal(copy) / name).unlink()
    (seal(copy) / name).symlink_to(world.here / "real")
    said = world.verify(copy)
    assert said.code == 1
    assert f".dataseal/{name.split('.')[0]}" in said.out


@pytest.mark.parametrize("name", [BUNDLE, PROOF, "shards.parquet"])
def test_a_fifo_in_place_of_a_seal_file_does_not_hang(world: World, name: str) -> None:
    copy = world.copy()
    (seal(copy) / name).unlink()
    os.mkfifo(seal(copy) / name)
    said = world.verify(copy)
    assert said.code == 1
    assert f".dataseal/{name}" in said.out


@pytest.mark.parametrize("name", [BUNDLE, PROOF, "shards.parquet"])
def test_a_folder_in_place_of_a_seal_file(world: World, name: str) -> None:
    copy = world.copy()
    (seal(copy) / name).unlink()
    write(seal(copy) / name / "x", b"x")
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{name}/x does not belong there")


def test_a_file_smuggled_into_the_seal(world: World) -> None:
    copy = world.copy()
    write(seal(copy) / "poison.parquet", b"x")
    blocked(world.verify(copy), "integrity.seal", ".dataseal/poison.parquet does not belong there")


def test_an_empty_folder_smuggled_into_the_seal(world: World) -> None:
    copy = world.copy()
    (seal(copy) / "cache").mkdir()
    blocked(world.verify(copy), "integrity.seal", ".dataseal/cache/ does not belong there")


def test_a_deep_tree_smuggled_into_the_seal(world: World) -> None:
    copy = world.copy()
    deep = seal(copy)
    for _ in range(800):
        deep = deep / "d"
    deep.mkdir(parents=True)
    blocked(world.verify(copy), "integrity.seal", ".dataseal/d/d/d/")


def test_a_symlink_smuggled_into_the_seal(world: World) -> None:
    copy = world.copy()
    (seal(copy) / "objects" / "x").symlink_to("/etc/passwd")
    blocked(world.verify(copy), "integrity.seal", ".dataseal/objects/x does not belong there")


def test_an_object_that_nothing_refers_to(world: World) -> None:
    copy = world.copy()
    from dataseal.ledger.digest import sha256

    name = f"objects/{sha256(b'x').hex()}"
    write(seal(copy) / name, b"x")
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{name} is bound by no verified statement")


def test_a_proof_without_a_bundle(world: World) -> None:
    copy = world.copy()
    shutil.copy(seal(copy) / PROOF, seal(copy) / "release" / "2.tlog-proof")
    blocked(world.verify(copy), "signature.missing", "release/2.sigstore.json")


def test_a_name_that_is_almost_known(world: World) -> None:
    copy = world.copy()
    shutil.copy(seal(copy) / BUNDLE, seal(copy) / "release" / "01.sigstore.json")
    blocked(world.verify(copy), "integrity.seal", "release/01.sigstore.json")


def test_another_publishers_signature(world: World, stranger: Path) -> None:
    copy = world.copy()
    shutil.rmtree(seal(copy))
    run("sign", copy, "--dataset", NAME, "--release", "1.1.0", "--workspace", stranger)
    blocked(world.verify(copy), "signature.untrusted", "no trusted key made this signature")


def test_another_publishers_signature_that_claims_the_trusted_key(world: World, stranger: Path) -> None:
    copy = world.copy()
    path = seal(copy) / BUNDLE
    old = bundles.parse(path.read_bytes())
    thief = signer(stranger / "keys" / "publisher.key")
    signature = thief.sign(bundles.pae(PAYLOAD_TYPE, old.payload))
    trusted = signer(world.ws / "keys" / "publisher.key").public
    path.write_bytes(bundles.encode(old.payload, signature, trusted))
    blocked(world.verify(copy), "signature.untrusted")


def test_one_flipped_bit_in_the_bundle(world: World) -> None:
    copy = world.copy()
    flip(seal(copy) / BUNDLE, 100)
    said = world.verify(copy)
    assert said.code == 1
    assert "fail  signature." in said.out
    assert "next  " in said.out


def test_a_bundle_that_is_no_bundle(world: World) -> None:
    copy = world.copy()
    (seal(copy) / BUNDLE).write_bytes(b"{}")
    blocked(world.verify(copy), "signature.invalid", f".dataseal/{BUNDLE}")


def test_a_bundle_of_a_gigabyte_is_not_read(world: World) -> None:
    copy = world.copy()
    os.truncate(seal(copy) / BUNDLE, 1 << 30)
    blocked(world.verify(copy), "signature.invalid", "more than")


def test_a_modification_in_place_of_the_release(world: World) -> None:
    copy = world.copy()
    for kind in ("sigstore.json", "tlog-proof"):
        shutil.copy(seal(copy) / "history" / f"00000002.{kind}", seal(copy) / "release" / f"1.{kind}")
    blocked(world.verify(copy), "signature.invalid", "it is a modification, not a release")


def test_the_proof_of_another_release(world: World) -> None:
    copy = world.copy()
    shutil.copy(world.v1 / ".dataseal" / PROOF, seal(copy) / PROOF)
    blocked(world.verify(copy), "log.invalid", f".dataseal/{PROOF}")


def test_the_proof_of_another_entry_at_the_same_head(world: World) -> None:
    copy = world.copy()
    shutil.copy(seal(copy) / "history" / "00000001.tlog-proof", seal(copy) / PROOF)
    blocked(world.verify(copy), "log.invalid")


def test_the_bundle_of_another_release(world: World) -> None:
    copy = world.copy()
    shutil.copy(world.v1 / ".dataseal" / BUNDLE, seal(copy) / BUNDLE)
    said = world.verify(copy)
    blocked(said, "log.invalid")
    blocked(said, "integrity.table")


def test_one_flipped_bit_in_the_proof(world: World) -> None:
    copy = world.copy()
    path = seal(copy) / PROOF
    data = path.read_bytes()
    flip(path, data.index(b"\nindex ") + 12)
    blocked(world.verify(copy), "log.invalid", f".dataseal/{PROOF}")


def test_a_second_bundle_over_another_statement_by_the_same_key(world: World) -> None:
    copy = world.copy()
    for kind in ("sigstore.json", "tlog-proof"):
        shutil.copy(world.v1 / ".dataseal" / "release" / f"1.{kind}", seal(copy) / "release" / f"2.{kind}")
    blocked(world.verify(copy), "signature.invalid", "another statement than the bundle before it")


def test_a_second_bundle_over_another_statement_by_an_unknown_key(world: World, stranger: Path) -> None:
    copy = world.copy()
    run("sign", world.copy(world.other, "else"), "--dataset", NAME, "--release", "9", "--workspace", stranger)
    shutil.copy(world.here / "else" / ".dataseal" / BUNDLE, seal(copy) / "release" / "2.sigstore.json")
    blocked(world.verify(copy), "signature.untrusted", "release/2.sigstore.json", "another statement")


def test_a_second_bundle_over_the_same_statement_by_an_unknown_key_is_noted(world: World, stranger: Path) -> None:
    copy = world.copy()
    second(copy, stranger / "keys" / "publisher.key")
    said = world.verify(copy)
    passed(said, f"{NAME}@1.1.0")
    assert "note  signature.unknown: .dataseal/release/2.sigstore.json" in said.out


def test_a_second_trusted_signature_needs_a_proof_of_its_own(world: World, stranger: Path) -> None:
    copy = world.copy()
    second(copy, stranger / "keys" / "publisher.key")
    said = world.verify(copy, "--publisher", stranger / "keys" / "publisher.pub")
    blocked(said, "log.missing", "release/2.tlog-proof")


def test_a_threshold_of_two_counts_distinct_keys(world: World, stranger: Path) -> None:
    copy = world.copy()
    other = stranger / "keys" / "publisher.pub"
    said = world.verify(copy, "--publisher", other, "--threshold", "2")
    assert said.code == 1
    assert "signed by 1 of 2 distinct signers" in said.out


def test_one_signature_twice_does_not_make_two(world: World, stranger: Path) -> None:
    copy = world.copy()
    for kind in ("sigstore.json", "tlog-proof"):
        shutil.copy(seal(copy) / "release" / f"1.{kind}", seal(copy) / "release" / f"2.{kind}")
    said = world.verify(copy, "--publisher", stranger / "keys" / "publisher.pub", "--threshold", "2")
    assert said.code == 1
    assert "signed by 1 of 2 distinct signers" in said.out


def test_two_signers_meet_a_threshold_of_two(world: World, stranger: Path) -> None:
    copy = world.copy()
    second(copy, stranger / "keys" / "publisher.key")
    said = dataseal(
        "verify", copy, "--publisher", world.pub, "--publisher", stranger / "keys" / "publisher.pub",
        "--threshold", "2", "--no-log", "--dataset", NAME,
    )  # fmt: skip
    passed(said, f"{NAME}@1.1.0")
    assert "note        log: not checked" in said.out


def test_the_wrong_logs_key(world: World, stranger: Path) -> None:
    copy = world.copy()
    said = dataseal("verify", copy, "--publisher", world.pub, "--log", stranger / "keys" / "log.vkey")
    blocked(said, "log.invalid", "no trusted log signed the proof's checkpoint")


def test_a_log_of_the_right_name_with_another_key(world: World, tmp_path: Path) -> None:
    origin = world.vkey.split("+")[0]
    run("init", tmp_path / "fake", "--origin", origin)
    copy = world.copy()
    said = dataseal("verify", copy, "--publisher", world.pub, "--log", tmp_path / "fake" / "keys" / "log.vkey")
    blocked(said, "log.invalid")


def test_the_right_key_under_another_origin(world: World) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dataseal.ledger.tlog.note import Ed25519Signer

    key = signer(world.ws / "keys" / "log.key").private
    assert isinstance(key, Ed25519PrivateKey)
    said = dataseal("verify", world.copy(), "--publisher", world.pub, "--log", Ed25519Signer("other.log", key).vkey)
    blocked(said, "log.invalid")


OMS = "oms.sigstore.json"


def test_the_oms_signature_of_another_release(world: World) -> None:
    copy = world.copy()
    shutil.copy(world.v1 / ".dataseal" / OMS, seal(copy) / OMS)
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}: it is not about {NAME}@1.1.0")


def test_an_oms_signature_by_a_stranger(world: World, stranger: Path) -> None:
    copy, other = world.copy(), world.copy(world.v2, "other")
    shutil.rmtree(seal(other))
    run("sign", other, "--dataset", NAME, "--release", "1.1.0", "--workspace", stranger, "--chunk-size", "64k")
    shutil.copy(seal(other) / OMS, seal(copy) / OMS)
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}: no trusted key made it")


def test_an_oms_signature_by_a_cosigner_who_is_unknown_here_is_noted(world: World, stranger: Path) -> None:
    copy, other = world.copy(), world.copy(world.v2, "other")
    shutil.rmtree(seal(other))
    run("sign", other, "--dataset", NAME, "--release", "1.1.0", "--workspace", stranger, "--chunk-size", "64k")
    shutil.copy(seal(other) / OMS, seal(copy) / OMS)
    second(copy, stranger / "keys" / "publisher.key")
    said = world.verify(copy)
    passed(said, f"{NAME}@1.1.0")
    assert f"note  signature.unknown: .dataseal/{OMS}" in said.out


def test_a_strangers_oms_signature_that_says_something_else_is_no_note(world: World, stranger: Path) -> None:
    copy, other = world.copy(), world.copy(world.v2, "other")
    shutil.rmtree(seal(other))
    write(other / "poison.bin", b"x")
    run("sign", other, "--dataset", NAME, "--release", "1.1.0", "--workspace", stranger, "--chunk-size", "64k")
    shutil.copy(seal(other) / OMS, seal(copy) / OMS)
    second(copy, stranger / "keys" / "publisher.key")
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}: no trusted key made it")


@pytest.mark.parametrize("data", [b"", b"{}", b"x" * 1000])
def test_an_oms_signature_that_is_none(world: World, data: bytes) -> None:
    copy = world.copy()
    (seal(copy) / OMS).write_bytes(data)
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}")


def test_an_oms_signature_of_a_gigabyte_is_not_read(world: World) -> None:
    copy = world.copy()
    os.truncate(seal(copy) / OMS, 1 << 30)
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}", "more than")


def test_a_fifo_in_place_of_the_oms_signature_does_not_hang(world: World) -> None:
    copy = world.copy()
    (seal(copy) / OMS).unlink()
    os.mkfifo(seal(copy) / OMS)
    blocked(world.verify(copy), "integrity.seal", f".dataseal/{OMS}")


def test_one_flipped_bit_in_the_oms_signature(world: World) -> None:
    copy = world.copy()
    flip(seal(copy) / OMS, 300)
    said = world.verify(copy)
    blocked(said, "integrity.seal", f".dataseal/{OMS}")
    assert "rule files          fail" in said.out


def test_a_seal_without_an_oms_signature(world: World) -> None:
    copy = world.copy()
    (seal(copy) / OMS).unlink()
    passed(world.verify(copy), f"{NAME}@1.1.0")
