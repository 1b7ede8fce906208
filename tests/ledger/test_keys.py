"""Public keys, key files and the trust document."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from dataseal.ledger.errors import FormatError, SignatureInvalid, Unavailable, UsageError
from dataseal.ledger.publickey import MAX_PEM, PublicKey
from dataseal.ledger.signers import keyfile
from dataseal.ledger.signers.keyfile import MAX_KEY_FILE, SCHEMES, generate, load, load_public, save
from dataseal.ledger.tlog.policy import policy_for_log
from dataseal.ledger.trust import Signer, Trust, TrustedLog
from support.errors import refused
from support.statements import signer

PEM = serialization.Encoding.PEM
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PKCS8 = serialization.PrivateFormat.PKCS8
PLAIN = serialization.NoEncryption()


def never(_path: str) -> bytes | None:
    raise AssertionError("asked for a passphrase of a key that is not encrypted")


def private_pem(key: object) -> bytes:
    return key.private_bytes(PEM, PKCS8, PLAIN)  # type: ignore[attr-defined, no-any-return]


FOREIGN = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p-521": ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()),
    "ed448": ed448.Ed448PrivateKey.generate(),
    "x25519": x25519.X25519PrivateKey.generate(),
}


# --- signatures ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_signs_and_verifies(scheme: str) -> None:
    key = signer(scheme, scheme)
    assert key.public.scheme == scheme
    key.public.verify(key.sign(b"message"), b"message")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_message_another_key_and_a_flipped_bit_are_refused(scheme: str) -> None:
    key, stranger = signer(scheme, scheme), signer(f"other {scheme}", scheme)
    good = key.sign(b"message")
    flipped = good[:-1] + bytes([good[-1] ^ 1])
    cases = [(good, b"massage"), (stranger.sign(b"message"), b"message"), (flipped, b"message"), (b"", b"message")]
    for signature, message in [*cases, (good + b"\0", b"message"), (good[:-1], b"message")]:
        with refused(SignatureInvalid, key.public.fingerprint[:16], scheme):
            key.public.verify(signature, message)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signature_of_one_scheme_is_none_of_another(scheme: str) -> None:
    for other in set(SCHEMES) - {scheme}:
        with refused(SignatureInvalid):
            signer(scheme, scheme).public.verify(signer(other, other).sign(b"m"), b"m")


def test_an_ecdsa_signature_of_zeros_or_in_another_encoding_is_refused() -> None:
    public = signer().public
    r, s = decode_dss_signature(signer().sign(b"m"))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    for bad in (encode_dss_signature(0, 0), encode_dss_signature(r, 0), raw):
        with refused(SignatureInvalid):
            public.verify(bad, b"m")


# --- public key files ---


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_public_key_round_trips_and_is_known_by_its_key_info(scheme: str) -> None:
    public = signer(scheme, scheme).public
    again = PublicKey.from_pem(public.pem())
    assert again.fingerprint == public.fingerprint
    assert len(public.fingerprint) == 64
    again.verify(signer(scheme, scheme).sign(b"m"), b"m")


def test_comments_and_line_ends_do_not_make_another_key() -> None:
    pem = signer().public.pem()
    assert PublicKey.from_pem(b"my key\n" + pem.replace(b"\n", b"\r\n")).fingerprint == signer().public.fingerprint


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_key_of_another_kind_is_refused_with_the_kinds_that_are_taken(kind: str) -> None:
    pem = FOREIGN[kind].public_key().public_bytes(PEM, SPKI)
    with refused(FormatError, "supported", "P-256", "its.pub"):
        PublicKey.from_pem(pem, where="its.pub")


def test_a_private_key_is_not_taken_for_a_public_one() -> None:
    with refused(FormatError, "private key", ".pub"):
        PublicKey.from_pem(private_pem(signer().private))


def test_two_keys_in_one_file_are_refused() -> None:
    """Only the first would be read: the second would silently not count."""
    with refused(FormatError, "more than one"):
        PublicKey.from_pem(signer().public.pem() + signer("other").public.pem())


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\0" * 99]
)
def test_what_is_no_public_key_is_refused(data: bytes) -> None:
    with refused(FormatError, "PEM public key", "BEGIN PUBLIC KEY", "its.pub"):
        PublicKey.from_pem(data, where="its.pub")


def test_a_huge_public_key_file_is_not_parsed() -> None:
    with refused(FormatError, "bytes"):
        PublicKey.from_pem(signer().public.pem() + b"#" * MAX_PEM)


# --- key files ---


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("passphrase", [None, "gehe€im".encode()])
def test_a_key_file_round_trips(tmp_path: Path, scheme: str, passphrase: bytes | None) -> None:
    key = generate(scheme)
    save(key, tmp_path / "my.key", passphrase)
    loaded = load(tmp_path / "my.key", (lambda _: passphrase) if passphrase else never)
    key.public.verify(loaded.sign(b"m"), b"m")
    assert load_public(tmp_path / "my.pub").fingerprint == key.public.fingerprint
    assert (b"ENCRYPTED" in (tmp_path / "my.key").read_bytes()) == bool(passphrase)


def test_a_private_key_file_is_0600_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save(signer(), tmp_path / "my.key", None)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "my.key").stat().st_mode) == 0o600
    assert not keyfile.readable_by_others(tmp_path / "my.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
def test_a_key_that_others_can_reach_is_noticed(tmp_path: Path, mode: int) -> None:
    save(signer(), tmp_path / "my.key", None)
    (tmp_path / "my.key").chmod(mode)
    assert keyfile.readable_by_others(tmp_path / "my.key")


@pytest.mark.parametrize("present", ["my.key", "my.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, present: str) -> None:
    (tmp_path / present).write_bytes(b"precious")
    with refused(UsageError, present, "never overwritten"):
        save(signer(), tmp_path / "my.key", None)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {present: b"precious"}


def test_a_key_is_not_written_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "my.key").symlink_to(tmp_path / "elsewhere")
    with refused(UsageError, "never overwritten"):
        save(signer(), tmp_path / "my.key", None)
    assert not (tmp_path / "elsewhere").exists()


def test_a_private_key_named_like_a_public_one_is_refused(tmp_path: Path) -> None:
    with refused(UsageError, "public key file"):
        save(signer(), tmp_path / "my.pub", None)
    assert not list(tmp_path.iterdir())


def test_an_empty_passphrase_is_no_silent_plain_text(tmp_path: Path) -> None:
    with refused(UsageError, "empty passphrase"):
        save(signer(), tmp_path / "my.key", b"")
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_a_usage_error(tmp_path: Path) -> None:
    with refused(UsageError, "no such folder"):
        save(signer(), tmp_path / "nowhere" / "my.key", None)


def test_a_private_key_does_not_stay_when_its_public_half_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(keyfile.os, "fsync", full)
    with refused(Unavailable, "No space left"):
        save(signer(), tmp_path / "my.key", None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [b"wrong", "é".encode(), b"right "])
def test_a_wrong_passphrase_says_so_and_where(tmp_path: Path, given: bytes) -> None:
    save(signer(), tmp_path / "my.key", b"right")
    with refused(UsageError, "passphrase does not open", "my.key", "DATASEAL_KEY_PASSPHRASE"):
        load(tmp_path / "my.key", lambda _: given)


@pytest.mark.parametrize("given", [None, b""])
def test_a_missing_passphrase_says_how_to_give_one(tmp_path: Path, given: bytes | None) -> None:
    save(signer(), tmp_path / "my.key", b"right")
    with refused(UsageError, "no passphrase", "my.key", "DATASEAL_KEY_PASSPHRASE"):
        load(tmp_path / "my.key", lambda _: given)


def test_the_passphrase_is_asked_for_by_the_files_name(tmp_path: Path) -> None:
    save(signer(), tmp_path / "my.key", b"right")
    asked: list[str] = []
    load(tmp_path / "my.key", lambda path: asked.append(path) or b"right")  # type: ignore[func-returns-value]
    assert asked == [str(tmp_path / "my.key")]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\0" * 100, signer().public.pem()], ids=["", "text", "zeros", "public"]
)
def test_what_is_no_private_key_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "my.key").write_bytes(data)
    with refused(UsageError, "not a PEM private key", "my.key"):
        load(tmp_path / "my.key", never)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_private_key_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "my.key").write_bytes(private_pem(FOREIGN[kind]))
    with refused(UsageError, "supported", "my.key"):
        load(tmp_path / "my.key", never)


def test_a_missing_key_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "huge").write_bytes(b"x" * (MAX_KEY_FILE + 1))
    for name, word in (("gone", "No such file"), (".", "directory"), ("huge", "more than")):
        with refused(UsageError, word):
            load(tmp_path / name, never)
        with refused(UsageError, word):
            load_public(tmp_path / name)


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with refused(UsageError, "rsa", "ecdsa-p256"):
        generate("rsa")


def test_a_private_key_in_a_public_keys_place_is_a_usage_error(tmp_path: Path) -> None:
    save(signer(), tmp_path / "my.key", None)
    with refused(UsageError, "private key", "my.key"):
        load_public(tmp_path / "my.key")


# --- trust ---

A, B = Signer.of("a", signer("a").public), Signer.of("b", signer("b").public)
ALIAS = Signer.of("alias", signer("a").public)
TRUST = Trust({"a": A, "b": B, "alias": ALIAS}, {"both": ("a", "b"), "twice": ("a", "alias")})


def test_names_and_groups_resolve() -> None:
    assert TRUST.resolve("a") == (A,)
    assert TRUST.resolve(["group:both", "a"]) == (A, B)


@pytest.mark.parametrize("name", ["c", "group:none", "both", "", "A", ["a", "c"]])
def test_an_unknown_name_is_an_error_and_never_an_empty_set(name: str | list[str]) -> None:
    with refused(UsageError, "no "):
        TRUST.resolve(name)


def test_no_name_trusts_nobody() -> None:
    with refused(UsageError, "trusts nobody"):
        TRUST.resolve([])


def test_a_group_that_is_empty_or_names_nobody_is_refused() -> None:
    with refused(UsageError, "no members"):
        Trust({"a": A}, {"g": ()})
    with refused(UsageError, "'z'", "signers: a"):
        Trust({"a": A}, {"g": ("a", "z")})


def test_one_key_under_two_names_is_one_signer() -> None:
    assert TRUST.distinct(s.name for s in TRUST.resolve("group:twice")) == 1
    assert TRUST.distinct(s.name for s in TRUST.resolve("group:both")) == 2
    assert TRUST.names(signer("a").public.fingerprint) == ("a", "alias")


def test_a_log_is_self_operated_unless_it_is_declared_otherwise() -> None:
    vkey = "dataseal.invalid/0123456789abcdef+d557fb4b+AQCLkwzlYT5nR/vu1kosJUdqR01++VotXheFPlsDDqs+"
    assert TrustedLog("log", policy_for_log(vkey)).operator == "self-operated"
