"""Checkpoints: three lines, one origin, signed by the log itself."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataseal.ledger.errors import FormatError, ProofInvalid, SignatureInvalid, UsageError
from dataseal.ledger.tlog import checkpoint, merkle, note
from dataseal.ledger.tlog.checkpoint import Checkpoint, open_checkpoint, parse_body, sign_checkpoint
from dataseal.ledger.tlog.keys import parse_vkey
from dataseal.ledger.tlog.limits import MAX_TREE_SIZE
from dataseal.ledger.tlog.text import encode_base64

ORIGIN = "dataseal.invalid/0123456789abcdef"
ROOT = merkle.leaf_hash(b"root")
TREE = Checkpoint(ORIGIN, 20852163, ROOT)
B64 = encode_base64(ROOT)


def test_docstring_example(example):
    vkey, _, signed = example(checkpoint).partition("\n\n")
    opened = open_checkpoint(signed.encode(), [parse_vkey(vkey)], origin=ORIGIN, strict=True)
    leaves = [merkle.leaf_hash(entry) for entry in (b"one", b"two", b"three")]
    assert opened.checkpoint == Checkpoint(ORIGIN, 3, merkle.root_from_leaves(leaves))


def test_sign_and_open(log_signer):
    data = sign_checkpoint(TREE, [log_signer])
    opened = open_checkpoint(data, [log_signer.verifier], origin=ORIGIN)
    assert opened.checkpoint == TREE
    assert opened.data == data
    assert [s.name for s in opened.log_signatures] == [ORIGIN]
    assert opened.cosignatures == opened.unverified == ()
    assert data.split(b"\n\n")[0] == f"{ORIGIN}\n20852163\n{B64}".encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 complete lines"),
        (f"o\n1\n{B64}", "2 complete lines"),
        ("o\n1\n", "2 complete lines"),
        (f"\n1\n{B64}\n", "line 1 of the checkpoint is empty"),
        (f"o\n1\n{B64}\n\n", "line 4 of the checkpoint is empty"),
        (f"o\n1\n{B64}\next\n\next\n", "line 5"),
        (f"o\n01\n{B64}\n", "tree size"),
        (f"o\n-1\n{B64}\n", "tree size"),
        (f"o\n1 \n{B64}\n", "tree size"),
        (f"o\n{MAX_TREE_SIZE + 1}\n{B64}\n", "at most"),
        ("o\n1\nAAAA\n", "3 bytes"),
        (f"o\n1\n{B64[:-1]}\n", "root hash"),
        (f"o\n1\n{B64} \n", "root hash"),
        (f"o\n1\n {B64}\n", "root hash"),
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text, why):
    with pytest.raises(FormatError, match=why):
        parse_body(text.encode())


def test_not_utf8():
    with pytest.raises(FormatError, match="UTF-8"):
        parse_body(b"\xff\n1\n")


def test_the_origin_need_not_be_a_url():
    assert parse_body(f"Go sumdb, éé + more\n1\n{B64}\n".encode()).origin == "Go sumdb, éé + more"


def test_foreign_extension_lines_are_read_but_not_by_the_strict_reader(log_signer):
    foreign = dataclasses.replace(TREE, extensions=("timestamp 17", "other"))
    data = note.sign(foreign.encode(), [log_signer])
    assert open_checkpoint(data, [log_signer.verifier], origin=ORIGIN).checkpoint == foreign
    with pytest.raises(FormatError, match="2 extension lines"):
        open_checkpoint(data, [log_signer.verifier], origin=ORIGIN, strict=True)


def test_we_never_write_extension_lines(log_signer):
    with pytest.raises(UsageError, match="no extension lines"):
        sign_checkpoint(dataclasses.replace(TREE, extensions=("x",)), [log_signer])


@pytest.mark.parametrize(
    "bad",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint("a", -1, ROOT),
        Checkpoint("a", MAX_TREE_SIZE + 1, ROOT),
        Checkpoint("a", 1, ROOT[:31]),
        Checkpoint("a", 1, ROOT, ("",)),
        Checkpoint("a", 1, ROOT, ("x\ny",)),
    ],
)
def test_what_no_checkpoint_can_hold_is_not_encoded(bad):
    with pytest.raises(FormatError):
        bad.encode()


def test_another_logs_checkpoint_is_refused(log_signer):
    """The other log's key is trusted, and its signature holds: it is still not the log that was asked for."""
    other = dataclasses.replace(log_signer, name="other.example/log")
    data = sign_checkpoint(dataclasses.replace(TREE, origin=other.name), [other])
    with pytest.raises(SignatureInvalid, match="not 'dataseal"):
        open_checkpoint(data, [log_signer.verifier, other.verifier], origin=ORIGIN)


def test_a_witness_signature_does_not_stand_for_the_logs(log_signer, witness):
    data = note.sign(TREE.encode(), [witness.at(1)])
    with pytest.raises(SignatureInvalid, match="log's own key"):
        open_checkpoint(data, [log_signer.verifier], origin=ORIGIN, cosigners=[witness.verifier])


def test_log_and_witness_signatures_are_told_apart(log_signer, witness):
    data = note.sign(TREE.encode(), [witness.at(1), log_signer])
    opened = open_checkpoint(data, [log_signer.verifier], origin=ORIGIN, cosigners=[witness.verifier])
    assert [s.name for s in opened.log_signatures] == [ORIGIN]
    assert [s.name for s in opened.cosignatures] == [witness.name]
    assert len(open_checkpoint(data, [log_signer.verifier], origin=ORIGIN).unverified) == 1


def test_a_key_is_not_log_and_witness_at_once(log_signer):
    data = sign_checkpoint(TREE, [log_signer])
    with pytest.raises(UsageError):
        open_checkpoint(data, [log_signer.verifier], origin=ORIGIN, cosigners=[log_signer.verifier])
    with pytest.raises(UsageError):
        open_checkpoint(data, [], origin=ORIGIN)


def test_an_empty_tree_with_another_root_is_refused(log_signer):
    data = note.sign(Checkpoint(ORIGIN, 0, ROOT).encode(), [log_signer])
    with pytest.raises(ProofInvalid, match="size 0"):
        open_checkpoint(data, [log_signer.verifier], origin=ORIGIN)
    with pytest.raises(UsageError, match="empty tree"):
        sign_checkpoint(Checkpoint(ORIGIN, 0, ROOT), [log_signer])
    data = sign_checkpoint(Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT), [log_signer])
    assert open_checkpoint(data, [log_signer.verifier], origin=ORIGIN).checkpoint.size == 0


def test_a_log_signs_under_its_own_name(log_signer, witness):
    with pytest.raises(UsageError, match="not named like the log"):
        sign_checkpoint(TREE, [log_signer, witness.at(1)])
    with pytest.raises(UsageError, match="needs the log's signature"):
        sign_checkpoint(TREE, [])


def test_cosignatures_survive_signing_again(log_signer, witness):
    first = note.parse(note.sign(TREE.encode(), [log_signer, witness.at(1)]))
    again = sign_checkpoint(TREE, [log_signer], existing=first.signatures)
    assert {s.name for s in note.parse(again).signatures} == {ORIGIN, witness.name}


LINES = st.text(alphabet="abc019 /.+é=\u2014", min_size=1, max_size=20)
TREES = st.builds(
    Checkpoint,
    LINES,
    st.integers(0, MAX_TREE_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(LINES, max_size=2).map(tuple),
)


@given(TREES)
def test_round_trip(tree):
    assert parse_body(tree.encode()) == tree


@given(TREES, st.data())
def test_any_changed_byte_is_refused_or_seen(tree, data):
    text = tree.encode()
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + bytes([data.draw(st.integers(0, 255))]) + text[at + 1 :]
    try:
        parsed = parse_body(changed)
    except FormatError:
        return
    assert (parsed == tree) == (changed == text)
