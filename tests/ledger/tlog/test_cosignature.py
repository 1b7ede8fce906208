"""Cosignatures: dated, bound to checkpoint and (ML-DSA-44) to the cosigner's name."""

from __future__ import annotations

import dataclasses
import struct

import pytest

from dataseal.ledger.errors import FormatError, SignatureInvalid, UsageError
from dataseal.ledger.tlog import checkpoint, cosignature, merkle, note
from dataseal.ledger.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from dataseal.ledger.tlog.cosignature import MLDSA44Cosigner, timestamp_of, verify_cosignatures
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.limits import MAX_TIMESTAMP

ORIGIN = "dataseal.invalid/0123456789abcdef"
NOW = 1767225600
TREE = Checkpoint(ORIGIN, 20852163, merkle.leaf_hash(b"root"))
TEXT = TREE.encode()


def cosign(cosigner, timestamp=NOW, text=TEXT):
    return note.parse(note.sign(text, [cosigner.at(timestamp)])).signatures[0]


@pytest.fixture(params=["ed25519", "ml-dsa-44"])
def cosigner(request, witness):
    return witness if request.param == "ed25519" else request.getfixturevalue("pq_witness")


def test_docstring_example(example):
    vkey, _, line = example(cosignature).partition("\n\n")
    text = note.parse(example(checkpoint).partition("\n\n")[2].encode()).text
    (seen,) = verify_cosignatures(text, note.parse_signatures(line.encode()), [parse_vkey(vkey)])
    assert (seen.name, seen.timestamp) == ("witness.example/w1", NOW)


def test_sign_and_verify(cosigner):
    (seen,) = verify_cosignatures(TEXT, [cosign(cosigner)], [cosigner.verifier])
    assert (seen.name, seen.key_id, seen.timestamp) == (cosigner.name, cosigner.verifier.key_id, NOW)


def test_the_messages_are_those_of_the_specification(witness, pq_witness):
    header = b"cosignature/v1\ntime 1679315147\n"
    assert cosignature.ed25519_message(TEXT, 1679315147) == header + TEXT
    name, origin = pq_witness.name.encode(), ORIGIN.encode()
    assert cosignature.mldsa44_message(pq_witness.name, NOW, TREE) == b"".join(
        [
            b"subtree/v1\n\x00",
            *(bytes([len(name)]), name, struct.pack(">Q", NOW)),
            *(bytes([len(origin)]), origin, struct.pack(">QQ", 0, TREE.size), TREE.root),
        ]
    )


def test_the_layouts_are_those_of_the_specification(witness, pq_witness):
    for signer, length in ((witness, 8 + 64), (pq_witness, 8 + 2420)):
        signature = cosign(signer)
        assert len(signature.signature) == length
        assert struct.unpack(">Q", signature.signature[:8]) == (NOW,)
        assert timestamp_of(signature) == NOW


# --- attacks, one a test ---


def test_another_tree_is_not_covered(cosigner):
    signature = cosign(cosigner)
    for other in (
        dataclasses.replace(TREE, size=TREE.size + 1),
        dataclasses.replace(TREE, root=merkle.EMPTY_ROOT),
        dataclasses.replace(TREE, origin="other.example"),
    ):
        with pytest.raises(SignatureInvalid):
            verify_cosignatures(other.encode(), [signature], [cosigner.verifier])


def test_the_date_can_not_be_changed(cosigner):
    signature = cosign(cosigner)
    moved = struct.pack(">Q", NOW + 1) + signature.signature[8:]
    with pytest.raises(SignatureInvalid):
        verify_cosignatures(TEXT, [dataclasses.replace(signature, signature=moved)], [cosigner.verifier])


def test_one_flipped_bit_anywhere_in_the_signature_is_found(cosigner):
    signature = cosign(cosigner)
    step = 1 if len(signature.signature) < 100 else 97
    for at in range(0, len(signature.signature), step):
        data = bytearray(signature.signature)
        data[at] ^= 1
        with pytest.raises(SignatureInvalid):
            verify_cosignatures(TEXT, [dataclasses.replace(signature, signature=bytes(data))], [cosigner.verifier])


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + b"\0", lambda s: s[:8], lambda s: s[:1]])
def test_another_length_is_refused(cosigner, change):
    signature = cosign(cosigner)
    changed = dataclasses.replace(signature, signature=change(signature.signature))
    with pytest.raises(SignatureInvalid):
        verify_cosignatures(TEXT, [changed], [cosigner.verifier])


def test_ml_dsa_binds_the_cosigners_name(pq_witness):
    other = dataclasses.replace(pq_witness, name="witness.example/other")
    relabelled = dataclasses.replace(cosign(other), name=pq_witness.name, key_id=pq_witness.verifier.key_id)
    with pytest.raises(SignatureInvalid, match="ML-DSA-44"):
        verify_cosignatures(TEXT, [relabelled], [pq_witness.verifier])


def test_ml_dsa_does_not_cover_extension_lines_and_ed25519_does(witness, pq_witness):
    """Why nothing may rely on an extension line, and why we write none."""
    extended = dataclasses.replace(TREE, extensions=("forged",)).encode()
    assert verify_cosignatures(extended, [cosign(pq_witness)], [pq_witness.verifier])
    with pytest.raises(SignatureInvalid):
        verify_cosignatures(extended, [cosign(witness)], [witness.verifier])


def test_a_plain_note_signature_is_no_cosignature(log_signer, witness):
    """Domain separation: type 1 over the checkpoint does not pass as type 4, although the key is the same."""
    same_key = cosignature.Ed25519Cosigner(ORIGIN, log_signer.private_key)
    plain = log_signer.sign(TEXT)
    forged = note.Signature(ORIGIN, same_key.verifier.key_id, struct.pack(">Q", NOW) + plain)
    with pytest.raises(SignatureInvalid):
        verify_cosignatures(TEXT, [forged], [same_key.verifier])
    as_note = dataclasses.replace(cosign(same_key), key_id=log_signer.key_id)
    with pytest.raises(SignatureInvalid):
        note.open_note(note.encode(TEXT, [as_note]), [log_signer.verifier])


def test_only_checkpoints_are_cosigned(cosigner):
    with pytest.raises(FormatError):
        note.sign(b"I owe you.\n", [cosigner.at(NOW)])
    forged = note.encode(b"I owe you.\n", [cosign(cosigner)])
    with pytest.raises(SignatureInvalid):
        note.open_note(forged, [cosigner.verifier])
    with pytest.raises(FormatError):
        verify_cosignatures(b"I owe you.\n", [cosign(cosigner)], [cosigner.verifier])


def test_a_timestamp_beyond_the_bound_is_refused(cosigner):
    with pytest.raises(UsageError, match="timestamp"):
        cosigner.at(MAX_TIMESTAMP + 1)
    with pytest.raises(UsageError, match="timestamp"):
        cosigner.at(-1)
    signature = dataclasses.replace(cosign(cosigner), signature=b"\xff" * len(cosign(cosigner).signature))
    with pytest.raises(FormatError, match="exceeds"):
        timestamp_of(signature)
    with pytest.raises(SignatureInvalid, match="exceeds"):
        verify_cosignatures(TEXT, [signature], [cosigner.verifier])
    assert timestamp_of(cosign(cosigner, MAX_TIMESTAMP)) == MAX_TIMESTAMP


def test_only_ml_dsa_may_make_no_statement_about_time(witness, pq_witness):
    assert verify_cosignatures(TEXT, [cosign(pq_witness, 0)], [pq_witness.verifier])[0].timestamp == 0
    with pytest.raises(UsageError, match="between 1"):
        witness.at(0)


def test_an_answer_of_unknown_keys_only_is_refused_and_strangers_are_ignored(witness, cosigner, new_witness):
    stranger = new_witness("stranger")
    with pytest.raises(SignatureInvalid):
        verify_cosignatures(TEXT, [cosign(stranger)], [cosigner.verifier])
    both = [cosign(stranger), cosign(cosigner)]
    assert [c.name for c in verify_cosignatures(TEXT, both, [cosigner.verifier])] == [cosigner.name]


def test_one_key_with_two_dates_counts_once(cosigner):
    both = [cosign(cosigner, NOW), cosign(cosigner, NOW + 5)]
    assert [c.timestamp for c in verify_cosignatures(TEXT, both, [cosigner.verifier])] == [NOW]


def test_a_log_signs_with_ed25519_and_ml_dsa(log_signer, pq_log):
    data = sign_checkpoint(TREE, [log_signer, pq_log.at(NOW)])
    for log_keys, count in (
        ([log_signer.verifier], 1),
        ([pq_log.verifier], 1),
        ([log_signer.verifier, pq_log.verifier], 2),
    ):
        assert len(open_checkpoint(data, log_keys, origin=ORIGIN).log_signatures) == count


def test_a_log_whose_ml_dsa_signature_fails_is_refused_although_ed25519_holds(log_signer, pq_log):
    other = sign_checkpoint(dataclasses.replace(TREE, size=1), [pq_log.at(NOW)])
    mixed = note.sign(TEXT, [log_signer], existing=note.parse(other).signatures)
    with pytest.raises(SignatureInvalid):
        open_checkpoint(mixed, [log_signer.verifier, pq_log.verifier], origin=ORIGIN)


@pytest.mark.parametrize("length", [255, 256])
def test_names_of_more_than_255_bytes_do_not_fit_the_message(pq_witness, length):
    tree = dataclasses.replace(TREE, origin="o" * length)
    if length == 255:
        assert cosign(pq_witness, text=tree.encode())
        return
    with pytest.raises(FormatError, match="256 bytes"):
        cosign(pq_witness, text=tree.encode())
    with pytest.raises(UsageError):
        MLDSA44Cosigner("w" * length, pq_witness.private_key).at(NOW)
