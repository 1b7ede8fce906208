"""Keys as text: the ID is recomputed, types are told apart, and a private key never shows in an error."""

from __future__ import annotations

import base64
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import UsageError
from dataseal.ledger.tlog import keys, note
from dataseal.ledger.tlog.cosignature import Ed25519CosignatureVerifier, Ed25519Cosigner, MLDSA44Verifier

EXAMPLE = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"  # C2SP signed-note.md, CC BY 4.0


def test_docstring_example(example, log_signer):
    vkey, skey = example(keys).split()
    assert keys.parse_vkey(vkey).vkey == vkey == log_signer.vkey
    assert keys.encode_skey(keys.parse_skey(skey)) == skey == keys.encode_skey(log_signer)


def test_the_specifications_own_vkey():
    key = keys.parse_vkey(EXAMPLE)
    assert isinstance(key, note.Ed25519Verifier)
    assert (key.name, key.key_id.hex(), key.vkey) == ("example.com/foo", "530d903a", EXAMPLE)


def test_types_are_told_apart(log_signer, witness, pq_log):
    assert type(keys.parse_vkey(log_signer.vkey)) is note.Ed25519Verifier
    assert type(keys.parse_vkey(witness.vkey)) is Ed25519CosignatureVerifier
    assert type(keys.parse_vkey(pq_log.vkey)) is MLDSA44Verifier
    assert keys.parse_vkey(witness.vkey) == witness.verifier


def test_one_key_has_another_id_for_each_type(log_signer):
    as_witness = Ed25519Cosigner(log_signer.name, log_signer.private_key)
    assert as_witness.verifier.public_key == log_signer.verifier.public_key
    assert as_witness.verifier.key_id != log_signer.key_id


def test_private_keys_round_trip(log_signer, witness, pq_witness):
    for signer in (log_signer, witness, pq_witness):
        again = keys.parse_skey(keys.encode_skey(signer))
        assert type(again) is type(signer)
        assert again.vkey == signer.vkey


def replaced(vkey, at, value):
    parts = vkey.split("+", 2)
    parts[at] = value
    return "+".join(parts)


def b64(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not of the form"),
        ("example.com/foo", "not of the form"),
        ("example.com/foo+530d903a", "not of the form"),
        (replaced(EXAMPLE, 0, ""), "not a key name"),
        (replaced(EXAMPLE, 0, "exa mple"), "not a key name"),
        (replaced(EXAMPLE, 0, "example.com/bar"), "name and key give"),
        (replaced(EXAMPLE, 1, "530d903b"), "name and key give 530d903a"),
        (replaced(EXAMPLE, 1, "530D903A"), "not of the form"),
        (replaced(EXAMPLE, 1, "0530d903a"), "not of the form"),
        (replaced(EXAMPLE, 2, "AekyeRrm"), "public key has 5 bytes"),
        (replaced(EXAMPLE, 2, EXAMPLE.split("+")[2] + "="), "base64"),
        (replaced(EXAMPLE, 2, ""), "signature type none"),
        (replaced(EXAMPLE, 2, b64(b"\x02" + bytes(32))), "signature type 02"),
        (replaced(EXAMPLE, 2, b64(b"\xff" + bytes(32))), "signature type ff"),
        (replaced(EXAMPLE, 2, b64(b"\x06" + bytes(32))), "type 6 has 1312"),
        (EXAMPLE + "\n", "base64"),
        (" " + EXAMPLE, "not a key name"),
    ],
)
def test_what_is_not_a_vkey_is_refused(text, why):
    with pytest.raises(UsageError, match=why):
        keys.parse_vkey(text)


def test_a_private_key_is_not_taken_for_a_vkey(log_signer):
    with pytest.raises(UsageError, match="private key") as caught:
        keys.parse_vkey(keys.encode_skey(log_signer))
    assert "Ab9f" not in str(caught.value)


def test_no_error_shows_a_private_key(log_signer):
    skey = keys.encode_skey(log_signer)
    secret = skey.rsplit("+", 1)[1]
    wrong = [skey + "A", skey[:-1], skey.replace("+d557fb4b", ""), skey.replace("d557fb4b", "d557fb4c"), skey[8:]]
    wrong += [skey.replace("dataseal", "data seal"), skey.replace("PRIVATE", "private")]
    for text in wrong:
        with pytest.raises(UsageError) as caught:
            keys.parse_skey(text)
        assert not any(secret[at : at + 6] in str(caught.value) for at in range(len(secret) - 6))
    assert "private" not in repr(log_signer)


def test_a_seed_has_32_bytes(log_signer):
    short = f"PRIVATE+KEY+{log_signer.name}+{log_signer.key_id.hex()}+{b64(bytes([1]) + bytes(31))}"
    with pytest.raises(UsageError, match="31 bytes"):
        keys.parse_skey(short)


@given(st.integers(0, len(EXAMPLE) - 1), st.characters(codec="ascii"))
def test_any_changed_character_is_refused(at, character):
    changed = EXAMPLE[:at] + character + EXAMPLE[at + 1 :]
    if changed != EXAMPLE:
        with pytest.raises(UsageError):
            keys.parse_vkey(changed)


def test_keys_compare_by_name_type_and_bytes(log_signer):
    key = log_signer.verifier
    assert key == note.Ed25519Verifier(key.name, key.public_key)
    assert key != dataclasses.replace(key, name="other.example")
    assert key != Ed25519CosignatureVerifier(key.name, key.public_key)
