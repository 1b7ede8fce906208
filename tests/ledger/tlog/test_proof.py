"""`.tlog-proof` files: strict to the last byte, and verified in the specification's order."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import DatasealError, FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import merkle, note, policy, proof
from dataseal.ledger.tlog.limits import MAX_EXTRA_BYTES, MAX_PROOF_BYTES, MAX_PROOF_HASHES
from dataseal.ledger.tlog.policy import parse_policy, policy_for_log
from dataseal.ledger.tlog.proof import LogProof, parse_proof, verify_proof

NOW = 1767225600


@pytest.fixture
def log(make_log):
    return make_log(13)


@pytest.fixture
def good(log, log_signer):
    return LogProof(7, tuple(merkle.inclusion_proof(log.leaves, 7)), log.checkpoint(log_signer), b"header")


@pytest.fixture
def trusted(log_signer):
    return policy_for_log(log_signer.vkey)


def test_docstring_example(example):
    parsed = parse_proof(example(proof).encode())
    verified = verify_proof(parsed, merkle.leaf_hash(b"two"), parse_policy(example(policy)))
    assert verified.index == 1
    assert verified.checked.cosignatures == (("W1", NOW),)
    assert parsed.encode() == example(proof).encode()
    with pytest.raises(ProofInvalid):
        verify_proof(parsed, merkle.leaf_hash(b"one"), parse_policy(example(policy)))


@pytest.mark.parametrize("size", [1, 2, 3, 13, 64])
def test_every_entry_of_a_log(make_log, log_signer, trusted, size):
    log = make_log(size)
    for index, leaf in enumerate(log.leaves):
        data = LogProof(index, tuple(merkle.inclusion_proof(log.leaves, index)), log.checkpoint(log_signer)).encode()
        verified = verify_proof(parse_proof(data), leaf, trusted)
        assert (verified.index, verified.leaf, verified.checked.checkpoint.size) == (index, leaf, size)


# --- attacks, one a test ---


def test_another_entry_is_not_proven(good, log, trusted):
    with pytest.raises(ProofInvalid, match="leads to root") as caught:
        verify_proof(good, log.leaves[6], trusted)
    assert "dataseal.invalid" in str(caught.value)


def test_another_index_is_not_proven(good, log, trusted):
    for index in (*range(7), *range(8, 13)):
        with pytest.raises(ProofInvalid):
            verify_proof(dataclasses.replace(good, index=index), log.leaves[7], trusted)


def test_an_index_beyond_the_tree_is_not_proven(good, log, trusted):
    with pytest.raises(ProofInvalid, match="not in a tree of 13"):
        verify_proof(dataclasses.replace(good, index=13), log.leaves[7], trusted)


def test_an_untrusted_logs_checkpoint_is_not_believed(good, log, new_witness):
    stranger = note.Ed25519Signer("stranger.example/log", new_witness("stranger").private_key)
    with pytest.raises(SignatureInvalid):
        verify_proof(good, log.leaves[7], policy_for_log(stranger.vkey))


def test_a_checkpoint_of_another_tree_does_not_fit(good, make_log, log, log_signer, trusted):
    for size in (12, 14, 26):
        other = dataclasses.replace(good, checkpoint=make_log(size).checkpoint(log_signer))
        with pytest.raises(ProofInvalid):
            verify_proof(other, log.leaves[7], trusted)


def test_the_signature_is_checked_before_the_inclusion(good, log, trusted):
    """Both are wrong; nothing about the tree is said before the log is known."""
    forged = good.checkpoint.replace(b"\n13\n", b"\n14\n")
    with pytest.raises(SignatureInvalid):
        verify_proof(dataclasses.replace(good, checkpoint=forged), log.leaves[6], trusted)


def test_the_quorum_is_part_of_the_policy(good, log, log_signer, witness):
    strict = parse_policy(f"log {log_signer.vkey}\nwitness W {witness.vkey}\nquorum W\n")
    with pytest.raises(ProofInvalid, match="quorum"):
        verify_proof(good, log.leaves[7], strict)
    assert not verify_proof(good, log.leaves[7], strict, require_quorum=False).checked.quorum_met
    cosigned = log.checkpoint(log_signer)
    parsed = note.parse(cosigned)
    cosigned = note.sign(parsed.text, [witness.at(NOW)], parsed.signatures)
    verified = verify_proof(dataclasses.replace(good, checkpoint=cosigned), log.leaves[7], strict)
    assert verified.checked.witnesses_seen == 1


def test_a_policy_without_logs_proves_nothing(good, log):
    with pytest.raises(UsageError):
        verify_proof(good, log.leaves[7], parse_policy("quorum none\n"))


def test_extra_data_is_not_authenticated(good, log, trusted):
    """Whoever uses it has to bind it: in dataseal the entry's header goes into the leaf hash."""
    changed = dataclasses.replace(good, extra=b"other header")
    assert verify_proof(changed, log.leaves[7], trusted).index == 7


# --- the file ---


def test_the_bytes(good):
    lines = good.encode().split(b"\n")
    assert lines[:3] == [b"c2sp.org/tlog-proof@v1", b"extra aGVhZGVy", b"index 7"]
    assert lines[3 + len(good.hashes)] == b""
    assert b"\n".join(lines[4 + len(good.hashes) :]) == good.checkpoint


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b"@v1", b"@v2", "first line"),
        (b"@v1\n", b"@v1\r\n", "first line"),
        (b"c2sp", b"\nc2sp", "first line"),
        (b"index 7\n", b"", "no index line"),
        (b"index 7", b"index 07", "index is not"),
        (b"index 7", b"index  7", "index is not"),
        (b"index 7", b"Index 7", "no index line"),
        (b"index 7", b"index -7", "index is not"),
        (b"index 7", b"index 18446744073709551615", "at most"),
        (b"index 7\n", b"index 7\nindex 7\n", "proof hash 1"),
        (b"extra aGVhZGVy\nindex 7", b"index 7\nextra aGVhZGVy", "proof hash 1"),
        (b"extra aGVhZGVy\n", b"extra aGVhZGVy\nextra aGVhZGVy\n", "no index line"),
        (b"extra aGVhZGVy", b"extra ", "0 bytes of extra"),
        (b"extra aGVhZGVy", b"extra aGVhZGV", "extra line"),
        (b"extra aGVhZGVy", b"extra  aGVhZGVy", "extra line"),
        (b"extra aGVhZGVy", b"extra\taGVhZGVy", "no index line"),
        (b"extra aGVhZGVy", b"extra aGVhZGVy ", "extra line"),
        (b"extra aGVhZGVy", b"extra aGVh\xc3\xa9", "ASCII"),
        (b"extra aGVhZGVy", b"later aGVhZGVy", "no index line"),
        (b"index 7\n", b"index 7\nAAAA\n", "3 bytes"),
        (b"index 7\n", b"index 7\n\n", "of the checkpoint is empty"),
    ],
)
def test_what_is_not_a_proof_is_refused(good, before, after, why):
    data = good.encode()
    assert parse_proof(data) == good
    assert before in data
    with pytest.raises(FormatError, match=why):
        parse_proof(data.replace(before, after, 1))


@pytest.mark.parametrize("data", [b"", b"\n\n", b"c2sp.org/tlog-proof@v1", b"c2sp.org/tlog-proof@v1\n\n", b"\xff\n\n"])
def test_no_proof_at_all(data):
    with pytest.raises(FormatError):
        parse_proof(data)


def test_the_checkpoint_in_a_proof_is_one(good):
    signature = note.parse(good.checkpoint).signatures
    for text in (b"a note\n", b"a note\nof three\nlines\n"):
        with pytest.raises(FormatError):
            dataclasses.replace(good, checkpoint=note.encode(text, signature)).encode()
    with pytest.raises(FormatError):
        parse_proof(good.encode()[:-1])
    with pytest.raises(FormatError):
        parse_proof(good.encode() + b"\n")


def test_sizes_are_bounded(good):
    largest = dataclasses.replace(good, extra=bytes(MAX_EXTRA_BYTES), hashes=(bytes(32),) * MAX_PROOF_HASHES)
    assert parse_proof(largest.encode()) == largest
    for extra in (b"", bytes(MAX_EXTRA_BYTES + 1)):
        with pytest.raises(FormatError, match="of extra data"):
            dataclasses.replace(good, extra=extra).encode()
    with pytest.raises(FormatError, match="more than 65 hashes"):
        dataclasses.replace(good, hashes=(bytes(32),) * (MAX_PROOF_HASHES + 1)).encode()
    with pytest.raises(FormatError, match="at most"):
        parse_proof(b"c" * (MAX_PROOF_BYTES + 1))


@pytest.mark.parametrize("change", [{"index": -1}, {"index": 2**64}, {"hashes": (b"short",)}, {"checkpoint": b""}])
def test_what_no_file_can_hold_is_not_written(good, change):
    with pytest.raises(FormatError):
        dataclasses.replace(good, **change).encode()


PROOFS = st.builds(
    LogProof,
    st.integers(0, 2**64 - 2),
    st.lists(st.binary(min_size=32, max_size=32), max_size=4).map(tuple),
    st.just("log.example\n3\nWqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=\n\n\u2014 log.example AAAAAAE=\n".encode()),
    st.one_of(st.none(), st.binary(min_size=1, max_size=40)),
)


@given(PROOFS)
def test_round_trip(value):
    assert parse_proof(value.encode()) == value


@given(PROOFS, st.data())
def test_any_changed_byte_is_refused_or_seen(value, data):
    encoded = value.encode()
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes([data.draw(st.integers(0, 255))]) + encoded[at + 1 :]
    try:
        parsed = parse_proof(changed)
    except FormatError:
        return
    assert (parsed == value) == (changed == encoded)


def test_one_flipped_bit_anywhere_but_in_extra_is_refused(good, log, trusted):
    plain = dataclasses.replace(good, extra=None)
    data = plain.encode()
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(DatasealError):
            verify_proof(parse_proof(changed), log.leaves[7], trusted)
